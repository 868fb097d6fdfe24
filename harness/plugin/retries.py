# SPDX-License-Identifier: GPL-2.0-only
"""Rerun failed tests alone in a new guest, to see whether they fail again.

The command is the same one that is shown to the user for reproducing the failure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from harness import process
from harness.errors import HostFault
from harness.model import Outcome, Test
from harness.results.journal import Journal, locate, read

FOLDER = "retries"
_CRASHES = 1  # default number of reruns of a crash


class Retries:
    """Reruns bad tests.

    ``command`` runs one test; ``times`` is the maximum number of reruns, None for crashes only.
    ``over`` returns whether the run has exceeded its deadline; ``say`` reports each outcome.
    ``left`` are tests that did not run because another one killed their guest: they are run once.
    """

    def __init__(
        self,
        journal: Journal,
        command: list[str],
        root: Path,
        times: int | None,
        over: Callable[[], bool],
        say: Callable[[str], None],
        left: Collection[str] = (),
    ) -> None:
        self.journal, self.command, self.root = journal, command, root
        self.times, self._over, self._say = times, over, say
        self._left = left

    def wanted(self, test: Test) -> int:
        """Return the maximum number of reruns of a test."""
        if test.id in self._left and test.outcome is Outcome.NOTRUN:
            return 1
        if not test.outcome.bad or test.outcome in (Outcome.NOTRUN, Outcome.FLAKY):
            return 0
        if self.times is None:
            return _CRASHES if test.outcome is Outcome.CRASH else 0
        return self.times

    def run(self) -> None:
        """Rerun the bad tests one after another, each until it passes or has no reruns left."""
        for test in read(self.journal.folder):
            times = self.wanted(test)
            for number in range(1, times + 1):
                if self._over():
                    return
                try:
                    outcome = self.rerun(test.id)
                except OSError as error:
                    self._say(f"stopping reruns: {error}")
                    return
                self._say(f"alone, {number} of {times}: {outcome or 'did not run'} {test.id}")
                if outcome is None or not outcome.bad:
                    break

    def rerun(self, test: str) -> Outcome | None:
        """Run a test in its own guest; return None in case of a host fault."""
        top = self.journal.folder / FOLDER
        top.mkdir(exist_ok=True)
        folder = top / f"{len(list(top.iterdir()))}"
        own = ["-p", "no:cacheprovider", "--retry", "0", "--guest-folder", str(folder)]
        own.append("--no-snapshot")  # what is random at boot is the same in all copies
        try:
            done = process.run([*self.command, *own, locate(str(self.root), test)], check=False)
        except HostFault:
            return None
        folder.mkdir(exist_ok=True)
        (folder / "pytest.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        results = [result for result in read(folder) if result.outcome is not Outcome.NOTRUN]
        # A case with parameters has no result of its own.
        found = [result for result in results if result.id == test] or [
            result for result in results if result.id.startswith(f"{test}::")
        ]
        for result in found:
            self.journal.attempt(result.id, result.outcome, folder, result.message)
        bad = (result.outcome for result in found if result.outcome.bad)
        return next(bad, found[0].outcome) if found else None
