# SPDX-License-Identifier: GPL-2.0-only
"""fstests (xfstests): the tests of file systems, in a checkout that the user has built.

What identifies a suite is the checkout's folder; its items are the tests, and a group such as
generic/quick stands for its tests.  Each runs through the checkout's own ./check, on two empty
disks of its guest.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.adaptors import AdaptedSuite, Adaptor, Entry, ItemResult, Sources
from harness.adaptors.execute import checkout_hint, disks, execute, installed
from harness.errors import UsageError
from harness.model import Option, Outcome

_SECONDS = 600.0  # the slowest tests of the group "quick" write gigabytes
_SIZE = 4096  # MiB of each disk, of which nothing is used until it is written
_SHOWN = 40  # lines of ./check in the message of a failure
# What ./check says of the machine before it runs a test.
_HEADER = re.compile(r"^(?:FSTYP|PLATFORM|MKFS_OPTIONS|MOUNT_OPTIONS) +-- .*\n", re.MULTILINE)
_URL = "https://git.kernel.org/pub/scm/fs/xfs/xfstests-dev.git"
_PROGRAMS = ("xfs_io", "gawk", "mkfs.ext4")
_USERS = ("fsgqa", "fsgqa2", "123456-fsgqa")  # the tests' README asks for them
_OPTIONS = (
    *("BLK_DEV_LOOP", "EXT4_FS", "EXT4_FS_POSIX_ACL", "EXT4_FS_SECURITY", "QUOTA", "QFMT_V2"),
    *("MD", "BLK_DEV_DM", "DM_FLAKEY", "DM_SNAPSHOT", "DM_THIN_PROVISIONING", "DM_LOG_WRITES"),
)
_SCRIPT = """
id=4000
for name in $USERS; do
    id=$((id + 1))
    grep -q "^$name:" /etc/passwd && continue
    echo "$name:x:$id:$id::/tmp:/bin/sh" >> /etc/passwd
    echo "$name:x:$id:" >> /etc/group
done
mkdir -p "$TEST_DIR" "$SCRATCH_MNT"
case $FSTYP in
    ext*) force="-q -F" ;;
    *) force=-f ;;
esac
"mkfs.$FSTYP" $force "$TEST_DEV" || exit 1
exec ./check "$@"
"""


def _collect(what: str, place: Path) -> Iterator[Entry]:
    folder = place / what
    for name, groups in _tests(folder):
        yield Entry(name, ("/bin/sh", "-c", _SCRIPT, "check", name), folder, groups=groups)


def _tests(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the tests for the file system and for all, each with the groups that it belongs to."""
    for kind in ("generic", os.environ.get("FSTYP", "ext4")):
        try:
            lines = (folder / "tests" / kind / "group.list").read_text().splitlines()
        except OSError:
            continue
        for words in (line.partition("#")[0].split() for line in lines):
            if words:
                yield f"{kind}/{words[0]}", (kind, *words[1:], *(f"{kind}/{w}" for w in words[1:]))


def _run(entry: Entry) -> ItemResult:
    found = [disk for disk in disks() if "/vd" in disk]  # null_blk keeps nothing
    if len(found) < 2:
        return ItemResult(Outcome.SKIP, "it needs two disks: --disk 4G --disk 4G")
    with tempfile.TemporaryDirectory() as results:
        # The settings in the checkout name the disks of another machine.
        settings = Path(results) / "settings"
        settings.touch()
        environment = {
            "HOST_OPTIONS": str(settings),
            "RESULT_BASE": results,
            "FSTYP": os.environ.get("FSTYP", "ext4"),
            "TEST_DEV": found[0],
            "SCRATCH_DEV": found[1],
            "TEST_DIR": "/mnt/test",
            "SCRATCH_MNT": "/mnt/scratch",
            "USERS": " ".join(_USERS),
        }
        own = Entry(entry.name, entry.argv, entry.folder, environment, own_root=True)
        status, output = execute(own)
        logs = {path.suffix: _text(path) for path in Path(results, entry.name).parent.glob("*.*")}
    more = [f"--- {s[1:]}\n{logs[s]}" for s in (".bad", ".full", ".dmesg") if logs.get(s)]
    return judge(status, output, logs.get(".notrun", ""), "\n".join([output, *more]))


def _text(path: Path) -> str:
    return path.read_text(errors="backslashreplace")


def judge(status: int, output: str, not_run: str, shown: str) -> ItemResult:
    """Return the result of a ./check of one test; ``not_run``: why the test did not run."""
    if not_run:
        return ItemResult(Outcome.SKIP, not_run.strip(), shown)
    if status == 0 and re.search(r"^Passed all 1 tests$", output, re.MULTILINE):
        return ItemResult(Outcome.PASS, "", shown)
    said = _HEADER.sub("", output).strip()
    last_lines = "\n".join(said.splitlines()[-_SHOWN:])
    if re.search(r"^Failures: ", output, re.MULTILINE):
        return ItemResult(Outcome.FAIL, f"{last_lines}\nE   ./check: the test failed", shown)
    return ItemResult(Outcome.ERROR, f"{last_lines}\nE   ./check: exit status {status}", shown)


def _check(suite: AdaptedSuite, place: Path) -> None:
    folder = place / suite.what
    if not (folder / "check").is_file() or not (folder / "tests" / "generic").is_dir():
        raise UsageError(
            f"--fstests: {folder} is not a checkout of fstests (xfstests)",
            hint=checkout_hint(suite, place, _URL),
        )
    if not (folder / "ltp" / "fsstress").exists() or not list(_tests(folder)):
        raise UsageError(
            f"--fstests: {folder} has not been built", hint=f"make -C {shlex.quote(str(folder))}"
        )
    if suite.item:
        names = {name for test, groups in _tests(folder) for name in (test, *groups)}
        if suite.item not in names:
            near = difflib.get_close_matches(suite.item, sorted(names), 3, 0.5)
            raise UsageError(
                f"--fstests: {folder} has no test or group {suite.item}",
                hint=f"one of {', '.join(near or ['generic/quick', 'generic/001'])}",
            )
    installed("--fstests", _PROGRAMS)


def _options(_whats: Sequence[str], _sources: Sources) -> tuple[Option, ...]:
    # A kernel that cannot have one of them runs the other tests.
    return tuple(
        Option(name, "y", "--fstests", "tests of fstests need it", optional=True)
        for name in _OPTIONS
    )


ADAPTOR = Adaptor(
    collect=_collect,
    run=_run,
    check=_check,
    options=_options,
    seconds=lambda _what, _item, _place: _SECONDS,
    disks=(_SIZE, _SIZE),
    is_path=True,
)
