# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's self-tests, tools/testing/selftests: built from the tree under test.

A suite is one of their targets, an item is one of the target's programs.  The tree's own Makefiles
build and install them; the list that they install says what the items are.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.adaptors import AdaptedSuite, Adaptor, Entry, ItemResult, Sources
from harness.adaptors.execute import execute, installed, judge
from harness.errors import UsageError
from harness.model import Option

if TYPE_CHECKING:  # guests do without
    from harness.progress import Progress

_LIST = "kselftest-list.txt"  # in the installed folder: a line TARGET:PROGRAM for each
# Some mount with -o loop, which no kernel without BLK_DEV_WRITE_MOUNTED allows otherwise.
_ARGUMENTS = ("bdev_allow_write_mounted=1",)
# What "ip netns exec" does.
_IN_NETNS = 'ip link set lo up && mount -t sysfs sysfs /sys && exec "$@"'
_UNLIMITED = 3600.0  # seconds for a test whose settings say that it has no deadline
_TIMEOUT = re.compile(r"^timeout=(\d+)\s*$", re.MULTILINE)


def _collect(_what: str, place: Path) -> Iterator[Entry]:
    for file in _programs(place):
        runner = file.parent / "ksft_runner.sh"
        argv = [f"./{file.name}"]
        if not os.access(file, os.X_OK):
            # As the tests' own runner does it.
            first = file.read_bytes()[:200].split(b"\n")[0].decode(errors="replace")
            interpreter = shlex.split(first[2:]) if first.startswith("#!") else []
            argv = [*interpreter, *argv] if not runner.exists() else [f"./{runner.name}", *argv]
        if buffered := shutil.which("stdbuf"):  # results in order, even if it dies
            argv = [buffered, "--output=L", *argv]
        if os.environ.get("RUN_IN_NETNS"):  # as for the tests' own runner
            argv = ["unshare", "--net", "--mount", "/bin/sh", "-c", _IN_NETNS, "sh", *argv]
        yield Entry(file.name, tuple(argv), file.parent, own_root=True)


def _programs(place: Path) -> list[Path]:
    """Return the programs of an installed target, in the order of its list."""
    name = place.name.replace("--", "/")  # whole, even if only its last part was given
    folder = place / name
    lines = (place / _LIST).read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")]
    if not names:  # some Makefiles list their programs as other files
        files = sorted(folder.iterdir())
        names = [f.name for f in files if f.is_file() and os.access(f, os.X_OK)]
    return [folder / name for name in names]


def _run(entry: Entry) -> ItemResult:
    return judge(*execute(entry), kselftest=True)


def _check(suite: AdaptedSuite, _folder: Path) -> None:
    what = suite.what
    if what.startswith(("/", ".")):
        raise UsageError(
            f"--kselftest {what}: not a target of the self-tests",
            hint="a folder below tools/testing/selftests, such as mount_setattr",
        )
    installed("--kselftest", ("rsync",))


def _seconds(_what: str, _item: str, place: Path) -> float:
    """Return what the target's settings say."""
    try:
        match = _TIMEOUT.search((place / place.name.replace("--", "/") / "settings").read_text())
    except OSError:
        return 0.0
    return (float(match[1]) or _UNLIMITED) if match else 0.0


def _options(whats: Sequence[str], sources: Sources) -> tuple[Option, ...]:
    from harness.adaptors import kselftest_build  # guests do without

    return kselftest_build.options(whats, sources)


def _build(whats: Sequence[str], sources: Sources, progress: Progress) -> Mapping[str, Path]:
    from harness.adaptors import kselftest_build

    return kselftest_build.build(whats, sources, progress)


ADAPTOR = Adaptor(
    collect=_collect,
    run=_run,
    check=_check,
    options=_options,
    build=_build,
    boot_arguments=lambda _item, _subtest: _ARGUMENTS,
    seconds=_seconds,
    from_tree=True,
)
