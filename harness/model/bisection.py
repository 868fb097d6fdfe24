# SPDX-License-Identifier: GPL-2.0-only
"""A bisection: what is tried, what each trial showed, and the answer with its proof."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path

from harness.model.kernel import Option, Request
from harness.model.verdict import Verdict


class BisectMode(enum.StrEnum):
    """What is searched: a series, history, config options, or combinations of patches."""

    SERIES = "series"
    HISTORY = "history"
    CONFIG = "config"
    INTERACTION = "interaction"


class Call(enum.StrEnum):
    """The result for a candidate.

    SKIP: it cannot be tested (does not apply, configure or build).
    OTHER: it failed, but not with the signature that the bisection is looking for.
    """

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"
    OTHER = "other"


@dataclasses.dataclass(frozen=True)
class Commit:
    """A commit; ``files`` are the paths it changed, if they were requested."""

    id: str
    parents: tuple[str, ...]
    author: str
    date: str
    subject: str
    files: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The abbreviated id and the subject, as cited in mails."""
        return f'{self.id[:12]} ("{self.subject}")'


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One kernel to try; ``name`` is for display, and unique within a bisection.

    ``commit`` is what is checked out ("": the commit that the bisection starts from).
    ``request`` replaces the bisection's config options.  ``patches`` are the numbers of the
    patches of the series to apply on top (None: the whole series, if there is one).
    ``debug``: its kernel needs debug info.
    """

    name: str
    commit: str = ""
    request: Request | None = None
    patches: tuple[int, ...] | None = None
    debug: bool = False


@dataclasses.dataclass(frozen=True)
class Observation:
    """The result of one trial of a candidate.

    ``why`` is a line for display; ``seconds`` is how long the trial took; ``folder`` holds its
    evidence; ``value`` is the measured number, if there is one.
    """

    call: Call
    why: str = ""
    seconds: float = 0.0
    folder: Path | None = None
    value: float | None = None


@dataclasses.dataclass(frozen=True)
class ObservationRecord:
    """An observation as stored in state.json; ``digest`` identifies the kernel that was booted."""

    candidate: str
    phase: str
    observation: Observation
    digest: str = ""


@dataclasses.dataclass(frozen=True)
class SearchStart:
    """How a bisection began: its command line, the working directory, and pinned commits.

    ``pins`` records the commits that refs pointed to: a branch may move before --resume.
    """

    command: tuple[str, ...]
    cwd: str
    pins: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class SearchState:
    """Everything needed to resume a bisection; state.json holds this value."""

    begun: SearchStart
    trials: tuple[ObservationRecord, ...] = ()


@dataclasses.dataclass(frozen=True)
class BisectStep:
    """What was decided about one candidate.

    ``phase`` is "search" or "verify"; ``failures`` of its ``runs`` showed the signature.
    """

    name: str
    commit: str
    phase: str
    call: Call
    why: str
    seconds: float
    runs: int
    failures: int
    confidence: float
    folder: Path | None = None


@dataclasses.dataclass(frozen=True)
class Proof:
    """A condition that must hold if the answer is right; ``found`` is None if it was not tested."""

    what: str
    expected: Call
    found: Call | None
    why: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the condition holds; None if it could not be tested."""
        return None if self.found in (None, Call.SKIP, Call.OTHER) else self.found is self.expected


@dataclasses.dataclass(frozen=True)
class Contrast:
    """One piece of evidence that differs between the culprit and its parent."""

    what: str
    before: str
    after: str


@dataclasses.dataclass(frozen=True)
class PatchInteraction:
    """The results of leaving out patches; ``full`` is the result of the whole series.

    Leaving out a ``decisive`` patch reverses the result; so does leaving out both patches of one of
    the ``pairs``.  ``together`` is a minimal set of patches that is bad by itself; ``unsure`` are
    the patches among them that could not be left out.  ``needs`` lists each patch with the patches
    without which it does not apply or build.
    """

    decisive: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    together: tuple[int, ...] = ()
    unsure: tuple[int, ...] = ()
    needs: tuple[tuple[int, tuple[int, ...]], ...] = ()
    full: Call = Call.BAD


@dataclasses.dataclass(frozen=True)
class Bisected:
    """The answer of a bisection and its evidence; bisect.json holds this value.

    ``culprit`` is the commit that introduced the failure (with ``reverse``: that fixed it), and
    ``patch`` its number in the series.  ``remaining`` are the commits left if there is no culprit.
    ``options`` make the difference; ``brought`` are options that Kconfig changed along with them.
    ``test`` is the test that was run.  ``rate`` is the failure rate of bad kernels, ``interval``
    its bounds with 95 % confidence; ``confidence`` is the probability that the answer is right.
    ``mail`` is a paragraph for a mailing list.
    """

    mode: BisectMode
    signature: str
    source: str
    good: str
    bad: str
    total: int
    folder: Path
    test: str = ""
    reverse: bool = False
    culprit: Commit | None = None
    patch: int = 0
    message_id: str = ""
    remaining: tuple[Commit, ...] = ()
    options: tuple[Option, ...] = ()
    brought: tuple[Option, ...] = ()
    together: PatchInteraction | None = None
    steps: tuple[BisectStep, ...] = ()
    proofs: tuple[Proof, ...] = ()
    differences: tuple[Contrast, ...] = ()
    rate: float = 0.0
    interval: tuple[float, float] = (0.0, 1.0)
    confidence: float = 0.0
    built: int = 0
    booted: int = 0
    seconds: float = 0.0
    commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mail: str = ""

    @property
    def found(self) -> bool:
        """Whether there is a definite answer."""
        return bool(self.culprit or self.options or self.together)

    @property
    def proven(self) -> bool:
        """Whether there is an answer and no proof contradicts it."""
        return self.found and all(proof.holds is not False for proof in self.proofs)

    @property
    def verdict(self) -> Verdict:
        """FOUND, UNPROVEN if a proof contradicts the answer, or UNDECIDED."""
        if not self.found:
            return Verdict.UNDECIDED
        return Verdict.FOUND if self.proven else Verdict.UNPROVEN
