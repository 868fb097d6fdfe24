# SPDX-License-Identifier: GPL-2.0-only
"""blktests: the block layer's tests, in a checkout that the user has built.

What identifies a suite is the checkout's folder; its items are the tests, and a group's name stands
for its tests.  Each runs through the checkout's own ./check.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.adaptors import AdaptedSuite, Adaptor, Entry, ItemResult, Sources
from harness.adaptors.execute import checkout_hint, disks, execute, installed
from harness.adaptors.ktap import KtapTest
from harness.errors import UsageError
from harness.model import Option, Outcome

_SECONDS = 600.0  # many tests wait for timers of the kernel
# ./check puts the tests' files below its results.  The guest's /tmp is an overlay, whose files have
# no block size: nvmet would export one with blocks of one byte, which no host takes.
_RESULTS = "/dev/shm"
# Many tests wait for udev, which does nothing for a process with a root of its own unless told to.
_SCRIPT = """
if ! udevadm control --ping --timeout=5 2>/dev/null; then
    for daemon in /usr/lib/systemd/systemd-udevd /lib/systemd/systemd-udevd /sbin/udevd; do
        [ -x "$daemon" ] && SYSTEMD_LOG_LEVEL=warning "$daemon" --daemon && break
    done
    udevadm trigger
    udevadm settle
fi
exec "$@"
"""
_URL = "https://github.com/linux-blktests/blktests"
_PROGRAMS = ("udevadm", "gawk", "fio")  # harness setup knows their packages
# NAME [=> DEVICE] [(CONDITION)] (DESCRIPTION) [STATUS], as ./check prints it
_RESULT = re.compile(
    r"^(?P<name>\S+/\S+)(?: => (?P<device>\S[^(\[]*?))?(?P<texts>(?: \(.*\))?)\s+"
    r"\[(?P<status>passed|failed|not run)\]\s*$"
)
# What a test measured stands before the reason: "runtime  2.1s  ...  2.0s", first the last run's.
_MEASURED = re.compile(r"    \S+(?: +\S+)? +\.\.\. +\S")
_OUTCOMES = {"passed": Outcome.PASS, "failed": Outcome.FAIL, "not run": Outcome.SKIP}


def _collect(what: str, place: Path) -> Iterator[Entry]:
    folder = place / what
    # ./check takes its settings from the environment, too.
    defaults = {
        "NVMET_TRTYPES": "loop tcp",
        "TEST_DEVS": " ".join(disks()),
        "SYSTEMD_IGNORE_CHROOT": "1",
    }
    environment = {k: v for k, v in defaults.items() if v and k not in os.environ}
    for file in sorted((folder / "tests").glob("*/*")):
        if re.fullmatch(r"\d+", file.name):
            group, name = file.parent.name, f"{file.parent.name}/{file.name}"
            yield Entry(name, (), folder, environment, own_root=True, groups=(group,))


def _run(entry: Entry) -> ItemResult:
    with tempfile.TemporaryDirectory(dir=_RESULTS) as results:
        check = ("./check", "-o", results, entry.name)
        own = dataclasses.replace(entry, argv=("/bin/sh", "-c", _SCRIPT, "sh", *check))
        status, output = execute(own)
        logs = sorted(p for p in Path(results).rglob("*") if p.suffix in (".full", ".dmesg"))
        # Each condition and device has a folder of its own: nodev_tr_tcp/nvme/003.full
        more = [
            f"--- {log.relative_to(results)}\n{log.read_text(errors='backslashreplace')}"
            for log in logs
        ]
    on_disks = _on_disks((entry.folder / "tests" / entry.name).read_text())
    return judge(status, output, "\n".join([output, *more]), on_disks=on_disks)


def judge(status: int, output: str, shown: str, *, on_disks: bool = False) -> ItemResult:
    """Return the result of a ./check; a test may have run on several devices or transports.

    ``on_disks``: the test runs on the disks in TEST_DEVS only, of which there may be none.
    """
    found, group = _results(output)
    # ./check names the disks that the group cannot use before the tests that it can run.
    found = found or group
    if not found and on_disks and not status and "./check:" not in output:  # not even a warning
        return ItemResult(Outcome.SKIP, "it runs on a disk: --disk, or TEST_DEVS", shown)
    if not found:
        last_lines = "\n".join(output.splitlines()[-10:])
        return ItemResult(Outcome.ERROR, f"{last_lines}\nE   ./check: exit status {status}", shown)
    if len(found) == 1:
        return ItemResult(found[0].outcome, found[0].message, shown)
    bad = [test.name for test in found if test.outcome.bad]
    if bad:
        message = f"{len(bad)} of {len(found)} failed: {', '.join(bad)}"
        return ItemResult(Outcome.FAIL, message, shown, tuple(found), explained=True)
    skipped = all(test.outcome is Outcome.SKIP for test in found)
    message = found[0].message if skipped else ""
    return ItemResult(Outcome.SKIP if skipped else Outcome.PASS, message, shown, tuple(found))


def _results(output: str) -> tuple[list[KtapTest], list[KtapTest]]:
    """Return what ./check says of a test, and of its whole group (nvme/***)."""
    found: list[KtapTest] = []
    group: list[KtapTest] = []
    now = found
    for line in output.splitlines():
        if match := _RESULT.match(line):
            now = group if match["name"].endswith("/***") else found
            texts = re.findall(r"\((.*?)\)(?= \(|$)", match["texts"])
            condition = texts[0] if len(texts) > 1 else ""
            name = f"{match['device'] or ''} {condition}".strip()
            now.append(KtapTest(name, _OUTCOMES[match["status"]]))
        elif now and line.startswith("    ") and now[-1].outcome is not Outcome.PASS:
            last = now.pop()
            line = "" if not last.message and _MEASURED.match(line) else line
            message = f"{last.message}\n{line.strip()}".strip()
            now.append(KtapTest(last.name, last.outcome, message))
    return [_explained(test) for test in found], group


def _explained(test: KtapTest) -> KtapTest:
    """End the message of a failure with its reason: summaries show that line alone."""
    first = test.message.partition("\n")[0]
    if test.outcome is not Outcome.FAIL or not first:
        return test
    reason = "the output is not the expected one" if first.startswith("---") else first.rstrip(":")
    return KtapTest(test.name, test.outcome, f"{test.message}\nE   ./check: {reason}")


def _on_disks(text: str) -> bool:
    """Whether a test has only functions that ./check calls for the disks in TEST_DEVS."""
    names = set(re.findall(r"^(\w+)\(\)", text, re.MULTILINE))
    return names.isdisjoint({"test", "fallback_device"})


def _check(suite: AdaptedSuite, place: Path) -> None:
    folder = place / suite.what
    if not (folder / "check").is_file() or not (folder / "tests").is_dir():
        raise UsageError(
            f"--blktests: {folder} is not a checkout of blktests",
            hint=checkout_hint(suite, place, _URL),
        )
    if not (folder / "src" / "loblksize").exists():
        raise UsageError(
            f"--blktests: {folder} has not been built", hint=f"make -C {shlex.quote(str(folder))}"
        )
    if suite.item and not (folder / "tests" / suite.item).exists():
        groups = sorted(rc.parent.name for rc in (folder / "tests").glob("*/rc"))
        near = difflib.get_close_matches(suite.item, groups, 3, 0.5) or groups
        raise UsageError(
            f"--blktests: {folder} has no group or test {suite.item}",
            hint=f"one of {', '.join(near)}",
        )
    installed("--blktests", _PROGRAMS)


def _options(_whats: Sequence[str], _sources: Sources) -> tuple[Option, ...]:
    # modprobe finds drivers that are built in by a list, which is installed with the modules.
    return (Option("MODULES", "y", "--blktests", "its tests ask modprobe for drivers"),)


ADAPTOR = Adaptor(
    collect=_collect,
    run=_run,
    check=_check,
    options=_options,
    seconds=lambda _what, _item, _place: _SECONDS,
    is_path=True,
)
