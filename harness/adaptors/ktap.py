# SPDX-License-Identifier: GPL-2.0-only
"""Read KTAP and TAP: the results that kernel tests print, in the middle of anything else.

The kernel's Documentation/dev-tools/ktap.rst describes the format.  The lines may come from a
kernel log, with its time stamps, or from a program.  Results are nested by spaces, tabs, or the
"# " that the kselftest runner puts before a program's own results.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from harness.model import Outcome

# The prefixes of a kernel log: <6>, [    1.234567], [    T1].
_STAMP = re.compile(r"^(?:<\d+>)?(?:\s*\[ *\d+\.\d+\](?:\[ *[CT]\d+\])? ?)?")
# A message of the kernel in the middle of another line.
_INTERRUPTED = re.compile(r"(?<=\S)(?=\[ *\d+\.\d{6}\])(?<!\])")
_LEAD = re.compile(r"^(?:[ \t]|# )*")
_VERSION = re.compile(r"^K?TAP version \d+\s*$")
_EMBEDDED_VERSION = re.compile(r"K?TAP version \d+\s*$")
_SUBTEST = "Subtest: "
_PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*(.*))?$")
# Without a number, a line is a result only if nothing but "- NAME" follows.
_RESULT = re.compile(r"^(not ok|ok)(?:\s+(\d+)\b(.*)|(\s*(?:-\s.*)?))$")
BAIL_OUT = "Bail out!"  # a fault of a program that gave up
_BAIL = re.compile(rf"^{BAIL_OUT}\s*(.*)$")
_HASH = re.compile(r"(?:^|\s)#\s*")
_DIRECTIVE = re.compile(r"^(skip|todo|xfail|timeout|error)\w*\b:?\s*(.*)$", re.IGNORECASE)
# What says most about a failure: KUnit's and kselftest's assertions, or else anything like it.
_REASONS = (
    re.compile(r"\b(?:EXPECTATION|ASSERTION) FAILED at |:(?:Expected|Asserted) "),
    re.compile(r"expect|fail|error|assert|not ok", re.IGNORECASE),
)
_SHOWN = 60  # diagnostic lines to keep for a test: the last ones
_NAMELESS = "(a test without a name)"


@dataclasses.dataclass(frozen=True)
class KtapTest:
    """A test's result.  ``message``: why it was skipped or failed, with its diagnostic lines."""

    name: str
    outcome: Outcome
    message: str = ""
    subtests: tuple[KtapTest, ...] = ()

    def leaves(self, above: str = "") -> Iterator[KtapTest]:
        """Yield the results that count, named by their path.

        These are those of tests without subtests, and bad ones that no bad subtest explains.
        """
        path = f"{above}::{self.name}" if above else self.name
        below = [leaf for test in self.subtests for leaf in test.leaves(path)]
        if not below or (self.outcome.bad and not any(leaf.outcome.bad for leaf in below)):
            yield KtapTest(path, self.outcome, self.message)
        yield from below


@dataclasses.dataclass(frozen=True)
class KtapResults:
    """The results in a text; ``valid``: it has a version line or a plan.

    ``faults``: what is wrong with the text as a whole; a planned test without a result has crashed
    until proven otherwise.  ``skipped``: why the plan has no tests.
    """

    valid: bool
    tests: tuple[KtapTest, ...] = ()
    faults: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def leaves(self) -> tuple[KtapTest, ...]:
        """The results that count."""
        return tuple(leaf for test in self.tests for leaf in test.leaves())


@dataclasses.dataclass
class _Level:
    """One level of nesting, whose lines begin with ``lead``.

    ``announced``: it began with a version, a name or a plan, not with a result.  ``lines`` are the
    diagnostics of the next result.
    """

    lead: str
    announced: bool = True
    name: str = ""
    planned: int | None = None
    skipped: str = ""
    numbers: set[int] = dataclasses.field(default_factory=set)
    tests: list[KtapTest] = dataclasses.field(default_factory=list)
    lines: list[str] = dataclasses.field(default_factory=list)

    def add(self, test: KtapTest, number: int = 0) -> None:
        """Add a result; a name that exists already gets a number."""
        names = {other.name for other in self.tests}
        name, count = test.name, 1
        while name in names:
            count += 1
            name = f"{test.name} [{count}]"
        self.tests.append(dataclasses.replace(test, name=name))
        self.numbers.add(number or len(self.tests))
        self.lines = []

    @property
    def faults(self) -> list[str]:
        """How the results differ from the plan."""
        planned = max(self.numbers, default=0) if self.planned is None else self.planned
        absent = planned - len(self.tests)
        if absent < 0 and self.planned is not None:
            return [f"{len(self.tests)} results, but only {planned} were planned"]
        if absent <= 0:
            return []
        missing = sorted(set(range(1, planned + 1)) - self.numbers)
        which = f" (the first is number {missing[0]})" if missing else ""
        return [f"{absent} of {planned} planned tests have no result{which}"]


def parse(text: str) -> KtapResults:
    """Read the results in ``text``, which may contain any other lines."""
    reader = _Reader()
    for line in text.splitlines():
        for piece in _INTERRUPTED.split(line):
            reader.line(piece)
    return reader.results()


class _Reader:
    """Reads line by line.  ``levels`` are the levels of nesting, the outermost first."""

    def __init__(self) -> None:
        self.levels: list[_Level] = []
        self.faults: list[str] = []
        self._outer = ""  # what precedes every line, besides time stamps
        self._yaml = False

    def results(self) -> KtapResults:
        """End, and return all results."""
        if not self.levels:
            return KtapResults(valid=False)
        self._close(0)
        top = self.levels[0]
        skipped = "" if top.tests else top.skipped
        return KtapResults(True, tuple(top.tests), (*self.faults, *top.faults), skipped)

    def line(self, text: str) -> None:
        """Read a line."""
        text = _STAMP.sub("", text, count=1).removeprefix(self._outer).rstrip()
        lead = _LEAD.match(text).group()  # type: ignore[union-attr]  # it matches every line
        body = text[len(lead) :]
        if body.startswith(_SUBTEST):
            self._begin(lead.removesuffix("# ")).name = body.removeprefix(_SUBTEST)
        elif _VERSION.match(body):
            self._begin(lead)
        elif not self.levels and not _PLAN.match(text):
            if match := _EMBEDDED_VERSION.search(text):
                self._outer = text[: match.start()]
                self._begin("")
        elif not self._is_yaml(body) and not self._is_result(lead, body) and body.strip():
            self.levels[-1].lines.append(text.strip().removeprefix("# "))

    def _begin(self, lead: str) -> _Level:
        """Return a level whose first lines have this lead."""
        if not self.levels:
            self.levels.append(_Level(lead))
        last = self.levels[-1]
        if last.lead == lead and not last.tests:
            return last  # it has only just begun
        if len(last.lead) >= len(lead):
            if lead == self.levels[0].lead:  # more results after the first ones
                self._close(0)
                return self.levels[0]
            inner = (n for n, level in enumerate(self.levels) if len(level.lead) >= len(lead))
            self._close(next(inner) - 1)
        self.levels.append(_Level(lead))
        return self.levels[-1]

    def _is_result(self, lead: str, body: str) -> bool:
        """Whether this is a plan, a result or a bail-out, at any level; read it."""
        if match := _BAIL.match(body):
            self.faults.append(f"{BAIL_OUT} {match[1]}".strip())
            return True
        plan, result = _PLAN.match(body), _RESULT.match(body)
        if not plan and not result:
            return False
        places = [n for n, level in enumerate(self.levels) if level.lead == lead]
        if not places:
            # A comment, a line that has lost its place, or a level without a version.
            if lead.endswith("# ") or (self.levels and len(lead) < len(self.levels[-1].lead)):
                return False
            self.levels.append(_Level(lead, announced=plan is not None))
            places = [len(self.levels) - 1]
        level = self.levels[places[-1]]
        if plan:
            level.planned = (level.planned or 0) + int(plan[1])
            directive = _DIRECTIVE.match(plan[2] or "")
            level.skipped = directive[2] or directive[1] if directive else ""
        elif result:
            below = self._below(places[-1])
            number = int(result[2] or 0)
            text = (result[3] or result[4] or "").strip().removeprefix("- ")
            level.add(_test(result[1] == "ok", number, text, level, below), number)
        return True

    def _is_yaml(self, body: str) -> bool:
        """Whether this line is in a YAML block, which describes the result before it."""
        tests = self.levels[-1].tests if self.levels else []
        if not tests or not (self._yaml or body == "---"):
            return False
        self._yaml = body != "..."
        if body not in ("---", "..."):
            message = f"{tests[-1].message}\n{body}".strip()
            tests[-1] = dataclasses.replace(tests[-1], message=message)
        return True

    def _below(self, number: int) -> _Level | None:
        """End and return the level below that of ``number``: the subtests of its next result."""
        self._close(number + 1)
        return self.levels.pop() if len(self.levels) > number + 1 else None

    def _close(self, number: int) -> None:
        """End all levels below that of ``number``: those tests did not report a result."""
        while len(self.levels) > number + 1:
            level, above = self.levels.pop(), self.levels[-1]
            if not level.announced and not above.tests:  # results further to the right than a plan
                above.tests, above.numbers = level.tests, level.numbers
                continue
            message = "\n".join([*level.lines[-_SHOWN:], *level.faults, "it has no result"])
            name = level.name or _NAMELESS
            above.add(KtapTest(name, Outcome.CRASH, message, tuple(level.tests)))


def _test(good: bool, number: int, text: str, level: _Level, below: _Level | None) -> KtapTest:
    """Return the test of a result line; ``text`` is what follows its number."""
    name, *rest = _HASH.split(text, maxsplit=1)
    outcome, reason = _outcome(good, rest[0] if rest else "")
    name = name.strip() or reason or (below.name if below else "") or f"test {number}"
    lines = [*level.lines, *(below.lines if below else ())][-_SHOWN:]
    faults = below.faults if below else []
    if faults:
        outcome, lines = Outcome.CRASH, [*faults, *lines]
    message = reason
    if outcome.bad:
        last = "" if faults else _headline(lines)
        message = "\n".join(filter(None, [*lines, reason, f"E   {last}" if last else ""]))
    return KtapTest(name, outcome, message, tuple(below.tests) if below else ())


def _outcome(good: bool, text: str) -> tuple[Outcome, str]:
    """Return the outcome, and the reason, of a result with this text after its hash sign."""
    plain = Outcome.PASS if good else Outcome.FAIL
    match = _DIRECTIVE.match(text)
    if match is None:
        return plain, text
    word = match[1].lower()
    if word == "todo" and good:
        return Outcome.PASS, match[2]
    always = {"skip": Outcome.SKIP, "xfail": Outcome.XFAIL, "todo": Outcome.XFAIL}
    failed = {"timeout": Outcome.TIMEOUT, "error": Outcome.ERROR}
    return always.get(word) or (plain if good else failed[word]), match[2] or match[1]


def _headline(lines: list[str]) -> str:
    """Return the diagnostic line that says most about a failure; empty if there is none."""
    for pattern in _REASONS:
        for number, line in enumerate(lines):
            if pattern.search(line):
                # KUnit says where it failed, then what it expected.
                after = lines[number + 1 : number + 2] if " FAILED at " in line else []
                return ": ".join([line, *after])
    return lines[-1] if lines else ""
