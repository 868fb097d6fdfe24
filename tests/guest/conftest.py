# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the guest suites.  These tests change the machine they run on: guests only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.guestside import disks, needs, syscalls
from harness.guestside.nvmet import CONFIGFS, Instance


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*what): what a test cannot do without")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not needs.in_guest():
        pytest.skip("runs inside a guest: pytest --kernel IMAGE tests/guest")
    lacking = needs.missing(item)
    if lacking:
        pytest.skip("needs: " + "; ".join(lacking))


@pytest.fixture(scope="session")
def configfs() -> str:
    """Where the initial instance is mounted."""
    if not Path(CONFIGFS).is_mount():
        syscalls.mount("none", CONFIGFS, "configfs")
    return CONFIGFS


@pytest.fixture
def initial(configfs: str) -> Instance:
    """nvmet in the initial instance."""
    return Instance(configfs)


@pytest.fixture(scope="session")
def tmpfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory: /tmp may be an overlay, whose files nvmet exports with block size 0."""
    folder = tmp_path_factory.mktemp("tmpfs")
    syscalls.mount("none", str(folder), "tmpfs")
    yield folder
    syscalls.umount(str(folder), syscalls.MNT_DETACH)


@pytest.fixture
def make_file(tmpfs: Path) -> Iterator[Callable[..., str]]:
    """Makes empty files of some MiB to export; they are deleted after the test."""
    made: list[str] = []

    def make(size: int = 16) -> str:
        made.append(disks.sparse_file(str(tmpfs / f"disk{len(made)}"), size))
        return made[-1]

    yield make
    for file in made:
        Path(file).unlink()


@pytest.fixture
def make_null_block() -> Iterator[Callable[..., str]]:
    """Makes null_blk devices that keep their data."""
    numbers = iter(range(1000))
    with ExitStack() as stack:

        def make(size: int = 16) -> str:
            device = disks.NullBlock(f"test{next(numbers)}", size)
            return stack.enter_context(device.made())

        yield make
