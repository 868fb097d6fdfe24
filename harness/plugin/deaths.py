# SPDX-License-Identifier: GPL-2.0-only
"""What a guest that is gone has to say: its last words, and whose fault the end was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.guest import records
from harness.guest.records import HangAnswer, HungTask
from harness.guestside.bootstrap import LEFT
from harness.model import GuestRecord, Outcome, Splat
from harness.plugin.phases import words
from harness.results.journal import Phase
from harness.splat import BOOT
from harness.splat import find as find_splats

# Lines of a dead guest's last words that are kept, from their start and from their end.
KEPT = 300
_STACK = 12  # lines of a stack in a message
_ENDED = {
    "panic": "the kernel panicked",
    "reset": "the machine went off by itself: a triple fault, or something told it to",
    "boot": "the guest did not come up",
}


@dataclasses.dataclass(frozen=True)
class Death:
    """The end of a guest at ``test`` (empty: none had begun): its record, last words and splats.

    ``seconds`` is the deadline the test was over, 0 if it was not; ``broken`` is how pytest in the
    guest failed, if it did.  ``again``: the connection broke off during the same test before.
    ``after``: the test was over, and no other had begun.
    """

    test: str
    record: GuestRecord | None
    folder: Path
    console: str
    splats: tuple[Splat, ...]
    seconds: float = 0.0
    broken: str = ""
    again: bool = False
    after: bool = False

    @property
    def lost(self) -> bool:
        """Whether the host is at fault: QEMU killed, its keeper or the connection gone."""
        ended = self.record.ended if self.record else "lost"
        if self.seconds or self.broken:
            return False
        return ended == "lost" or (self.cut and not self.again)

    @property
    def cut(self) -> bool:
        """Whether only the connection is gone: nothing befell the guest until we ended it."""
        return self.record is not None and self.record.ended == "done" and not self._left

    @property
    def _left(self) -> bool:
        return f"{LEFT} 0" in self.console

    @property
    def why(self) -> str:
        """Say in a line what became of the guest."""
        ended = self.record.ended if self.record else "lost"
        note = self.record.note if self.record else ""
        if self.seconds:
            what = "what came after the test" if self.after else "the test"
            what = what if self.test else "collecting the tests"
            return f"{what} ran over its deadline of {self.seconds:g} s; {self._hang(ended)[0]}"
        if self.broken:
            told = self.broken.strip().splitlines() or [""]
            reason = "the test took away what it needs" if self.test else told[-1]
            return f"pytest itself failed in the guest: {reason}"
        if self.lost:
            reason = note or "the connection to it broke off"
            return f"the guest was lost by the host's fault: {reason}"
        if self.again:
            return "the connection to the guest broke off twice during this test"
        if ended == "done":
            return "the tests' process in the guest ended with status 0"
        return _ENDED.get(ended) or note or ended

    def phase(self, splats: tuple[Splat, ...]) -> Phase:
        """Make the journal's phase of it; ``splats`` are those that nobody expected."""
        ended = self.record.ended if self.record else "lost"
        details = self._hang(ended)[1] if self.seconds else self.broken
        return Phase(
            when="crash",
            outcome=Outcome.TIMEOUT if self.seconds else Outcome.CRASH,
            message="\n".join(filter(None, (self._title(splats), details, words(splats)))),
            log=self.console,
            splats=splats,
        )

    def _title(self, splats: tuple[Splat, ...]) -> str:
        known = splats and not self.seconds
        return f"{splats[0].title} ({self.why})" if known else self.why

    def _hang(self, ended: str) -> tuple[str, str]:
        answer = records.read_hang(self.folder)
        if answer:
            return _alive(answer, self.test)
        if ended == "timeout":
            return "the kernel answers sysrq, but runs no programs any more", ""
        return "the kernel does not answer at all", ""


def _alive(answer: HangAnswer, test: str) -> tuple[str, str]:
    main = [task for task in answer.tasks if task.thread == task.pid]
    # One that cannot be interrupted explains the rest; else the youngest process is waited for.
    stuck = [task for task in answer.tasks if task.state == "D"] or main[-1:]
    where = " and ".join(_place(task) for task in stuck) or "no task of its own"
    line = _python(answer.python, test)
    first = f"the kernel is alive, the test hangs in {where}"
    shown = [f"{first}, at {line}" if line else first]
    details = []
    for task in stuck:
        stack = task.stack.splitlines()[:_STACK]
        details += [f"  {task.comm}/{task.thread} is at:", *(f"    {one}" for one in stack)]
    return shown[0], "\n".join(details) if any(task.stack for task in stuck) else ""


_STATES = {"R": "running", "S": "sleeping", "D": "uninterruptible", "T": "stopped", "Z": "dead"}


def _place(task: HungTask) -> str:
    top = task.stack.split("\n")[0].rpartition("] ")[2].partition("+")[0]
    where = top or task.wchan or ("user space" if task.state == "R" else "the kernel")
    return f"{where} ({task.comm}/{task.thread}, {_STATES.get(task.state, task.state)})"


def _python(stacks: str, test: str) -> str:
    """Give the line of the test's own file, or else the innermost, from faulthandler's words."""
    current = stacks.rpartition("Current thread")[2] or stacks
    frames = [line.strip() for line in current.splitlines() if line.strip().startswith("File ")]
    name = test.partition("::")[0].rpartition("/")[2]
    own = [frame for frame in frames if f'/{name}"' in frame]
    if not frames:
        return ""
    _, path, rest = (own or frames)[0].split('"', 2)
    return f"{path.rpartition('/')[2]}:{rest.removeprefix(', line ').replace(' in ', ' in ', 1)}"


def last_words(folder: Path, mark: str = "") -> tuple[str, tuple[Splat, ...]]:
    """Give the end of a guest's console, from the last line that holds ``mark``, and its splats."""
    console = folder / "console.log"
    text = console.read_text(errors="backslashreplace") if console.is_file() else ""
    start = text.rfind(mark) if mark else 0
    lines = text[max(start, 0) :].splitlines()
    shown = lines if len(lines) <= 2 * KEPT else [*lines[:KEPT], "(cut)", *lines[-KEPT:]]
    test = mark.removeprefix("harness: start ") if start > 0 else ""
    return "\n".join(shown), find_splats(lines, test or BOOT)
