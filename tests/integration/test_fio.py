# SPDX-License-Identifier: GPL-2.0-only
"""The load that the guest suites verify data with must find data that is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from guestlib import disks, fio
from harness.guestside import wait

pytestmark = pytest.mark.skipif(not shutil.which("fio"), reason="needs: the program fio")


@pytest.fixture
def file(tmp_path: Path) -> str:
    return disks.sparse_file(str(tmp_path / "disk"), 4)


def test_it_is_content_with_what_it_wrote_itself(file: str) -> None:
    result = fio.verify(file)
    assert result.written == result.read == 4 * disks.MEBI


def test_it_ends_when_told(file: str) -> None:
    with fio.begun(file) as load:
        load.goes_on(lambda: (disks.changed(file), disks.changed(file)), count=1)
        assert load.stop().read > 0
        assert not load.running()


def test_it_finds_data_that_somebody_else_wrote(file: str) -> None:
    with fio.begun(file) as load:

        def noticed() -> bool:
            disks.fill(file, disks.pattern(4 * disks.MEBI))
            return not load.running()

        wait.until(noticed, "fio to notice")
        with pytest.raises(AssertionError, match="verify"):
            load.finish()


def test_its_end_before_time_is_told(file: str) -> None:
    with fio.begun(file) as load:
        load.kill()
        with pytest.raises(AssertionError, match="ended too early"):
            load.goes_on(lambda: (0, 0))
