# SPDX-License-Identifier: GPL-2.0-only
"""fstests: what ./check prints, which tests a group has, and what is refused before a build."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness import adaptors
from harness.adaptors.fstests import judge
from harness.errors import UsageError
from harness.model import Outcome

PASSED = """\
FSTYP         -- ext4
PLATFORM      -- Linux/x86_64 host 7.2.13
MKFS_OPTIONS  -- /dev/vdb
MOUNT_OPTIONS -- -o acl,user_xattr /dev/vdb /mnt/scratch

generic/001 4s ...  3s
Ran: generic/001
Passed all 1 tests
"""
FAILED = """\
FSTYP         -- ext4
PLATFORM      -- Linux/x86_64 guest0 7.2.13
MKFS_OPTIONS  -- -F /dev/vdb
MOUNT_OPTIONS -- -o acl,user_xattr /dev/vdb /mnt/scratch

generic/001       - output mismatch (see /tmp/results/generic/001.out.bad)
    --- tests/generic/001.out
    +++ /tmp/results/generic/001.out.bad
    @@ -1 +1,2 @@
    +cp: cannot create regular file
Ran: generic/001
Failures: generic/001
Failed 1 of 1 tests
"""
NOT_RUN = """\
generic/050       [not run] dax support is missing
Ran: generic/050
Not run: generic/050
Passed all 1 tests
"""


def test_a_pass_a_failure_and_a_skip() -> None:
    assert judge(0, PASSED, "", "").outcome is Outcome.PASS
    failed = judge(1, FAILED, "", "")
    assert failed.outcome is Outcome.FAIL
    assert failed.message.startswith("generic/001       - output mismatch")
    assert "cannot create regular file" in failed.message
    skipped = judge(0, NOT_RUN, "dax support is missing\n", "")
    assert (skipped.outcome, skipped.message) == (Outcome.SKIP, "dax support is missing")


@pytest.mark.parametrize("output", ["", "mkfs.ext4: not found\n", "Passed all 0 tests\n"])
def test_a_check_that_ran_no_test_is_an_error(output: str) -> None:
    result = judge(0, output, "", "")
    assert result.outcome is Outcome.ERROR
    assert "exit status 0" in result.message


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/bin/{name}")
    (tmp_path / "check").touch()
    (tmp_path / "ltp").mkdir()
    (tmp_path / "ltp" / "fsstress").touch()
    for kind, text in {
        "generic": "# made by a script\n\n001 rw auto quick\n002 auto  # slow\n",
        "ext4": "003 quick\n",
        "xfs": "004 quick\n",
    }.items():
        (tmp_path / "tests" / kind).mkdir(parents=True)
        (tmp_path / "tests" / kind / "group.list").write_text(text)
    return tmp_path


def chosen(checkout: Path, group: str) -> list[str]:
    entries = adaptors.adaptor("fstests").collect(str(checkout), Path())
    return [entry.name for entry in entries if group in entry.groups]


def test_groups(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FSTYP", raising=False)
    assert chosen(checkout, "quick") == ["generic/001", "ext4/003"]
    assert chosen(checkout, "generic/quick") == ["generic/001"]
    assert chosen(checkout, "generic") == ["generic/001", "generic/002"]
    assert chosen(checkout, "slow") == []
    monkeypatch.setenv("FSTYP", "xfs")
    assert chosen(checkout, "quick") == ["generic/001", "xfs/004"]


def refused(checkout: Path, item: str = "") -> UsageError:
    with pytest.raises(UsageError) as caught:
        adaptors.check([f"fstests:{checkout}::{item}" if item else f"fstests:{checkout}"], Path())
    return caught.value


def test_what_cannot_run_is_refused(checkout: Path, tmp_path: Path) -> None:
    adaptors.check([f"fstests:{checkout}", f"fstests:{checkout}::generic/quick"], Path())
    fault = refused(checkout, "generic/quik")
    assert "no test or group generic/quik" in fault.what
    assert "generic/quick" in fault.hint
    (checkout / "ltp" / "fsstress").unlink()
    assert "make -C" in refused(checkout).hint
    (checkout / "check").unlink()
    assert "not a checkout" in refused(checkout).what
