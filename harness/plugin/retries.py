# SPDX-License-Identifier: GPL-2.0-only
"""Run what failed again, alone in a fresh guest: does it fail there too?

What runs is the command that a person is given to reproduce it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness import process
from harness.errors import HostFault
from harness.model import Outcome, Test
from harness.results.journal import Journal, locate, read

FOLDER = "retries"
_CRASHES = 1  # how often a crash is tried again when nobody says


class Retries:
    """``command`` runs one test; ``asked`` is how often at most, None for crashes only.

    ``over`` says that the run has no time left; ``say`` tells a person what came.
    """

    def __init__(
        self,
        journal: Journal,
        command: list[str],
        root: Path,
        asked: int | None,
        over: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self.journal, self.command, self.root = journal, command, root
        self.asked, self._over, self._say = asked, over, say

    def wanted(self, test: Test) -> int:
        """Say how often a test is to be run again at most."""
        if not test.outcome.bad or test.outcome in (Outcome.NOTRUN, Outcome.FLAKY):
            return 0
        if self.asked is None:
            return _CRASHES if test.outcome is Outcome.CRASH else 0
        return self.asked

    def run(self) -> None:
        """Run again what is bad, one after another, until it is good once or has had its turns."""
        for test in read(self.journal.folder):
            times = self.wanted(test)
            for number in range(1, times + 1):
                if self._over():
                    return
                try:
                    outcome = self.again(test.id, number)
                except OSError as error:
                    self._say(f"nothing more can be tried again: {error}")
                    return
                self._say(f"alone, {number} of {times}: {outcome or 'did not run'} {test.id}")
                if outcome is None or not outcome.bad:
                    break

    def again(self, test: str, number: int) -> Outcome | None:
        """Run one test in a guest of its own; None when the host could not."""
        top = self.journal.folder / FOLDER
        top.mkdir(exist_ok=True)
        place = top / f"{len(list(top.iterdir()))}"
        own = ["-p", "no:cacheprovider", "--retry", "0", "--guest-folder", str(place)]
        try:
            done = process.run([*self.command, *own, locate(str(self.root), test)], check=False)
        except HostFault:
            return None
        place.mkdir(exist_ok=True)
        (place / "pytest.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        found = next((one for one in read(place) if one.id == test), None)
        if found is None or found.outcome is Outcome.NOTRUN:
            return None
        self.journal.attempt(test, found.outcome, place, found.message)
        return found.outcome
