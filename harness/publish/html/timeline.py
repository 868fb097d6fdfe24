# SPDX-License-Identifier: GPL-2.0-only
"""The timeline: stages on this machine, and each guest with its boot and its tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from harness.model import Outcome, Run, Span, Test
from harness.progress import clock
from harness.publish.html.test_table import KernelColumn

WIDTH = 1000.0  # width of the whole timeline
_THIN = 0.7  # bars narrower than this are merged with their neighbour
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)  # seconds
_TICKS = 6


@dataclasses.dataclass(frozen=True)
class Bar:
    """A segment of a lane; ``left`` and ``width`` are in thousandths of the total time."""

    left: float
    width: float
    kind: str
    title: str
    link: str = ""


@dataclasses.dataclass(frozen=True)
class Lane:
    """What happened on one machine, in order."""

    name: str
    bars: tuple[Bar, ...]


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The timeline of a run; ``ticks`` are (thousandths, label)."""

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    spans: tuple[Span, ...]
    note: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of bars, for the legend."""
        return tuple(dict.fromkeys(bar.kind for lane in self.lanes for bar in lane.bars))


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Something that began at a given time, in seconds since 1970."""

    began: float
    seconds: float
    kind: str
    title: str
    link: str = ""
    bad: bool = False

    @property
    def end(self) -> float:
        return self.began + self.seconds


def lay_out(
    spans: Sequence[Span], kernels: Sequence[KernelColumn], links: Mapping[tuple[str, str], str]
) -> Timeline | None:
    """Return the timeline of a run; ``links`` lead from (kernel, test) to its failure.

    None if no times were recorded.  Kernels whose results are from an earlier run are left out.
    """
    rows = [("host", [_stage(span) for span in spans])] if spans else []
    for kernel in kernels:
        if not kernel.cached:
            guests = enumerate(_guests(kernel, links), 1)
            rows += [(f"{kernel.label}, guest {number}", pieces) for number, pieces in guests]
    if not rows:
        return None
    begin = min(piece.began for _, pieces in rows for piece in pieces)
    whole = max(piece.end for _, pieces in rows for piece in pieces) - begin or 1.0
    lanes = tuple(Lane(name, _bars(pieces, begin, whole)) for name, pieces in rows)
    reused = [kernel.label for kernel in kernels if kernel.cached]
    note = f"{' and '.join(reused)}: results from an earlier run" if reused else ""
    return Timeline(lanes, _ticks(whole), tuple(spans), note)


def stages(run: Run) -> tuple[Span, ...]:
    """Return a run's stages; old runs lack start times, so their stages follow each other."""
    if run.timeline or not run.stages:
        return run.timeline
    spans, begin = [], 1.0
    for name, seconds in run.stages:
        spans.append(Span(name, "", begin, seconds))
        begin += seconds
    return tuple(spans)


def _stage(span: Span) -> _Piece:
    title = f"{span.name} {span.what}".strip()
    kind = span.name if span.name in ("build", "test") else "other"
    return _Piece(span.began, span.seconds, f"stage-{kind}", f"{title}, {clock(span.seconds)}")


def _guests(kernel: KernelColumn, links: Mapping[tuple[str, str], str]) -> list[list[_Piece]]:
    """Return the pieces of each lane; a guest that replaces another one shares its lane."""
    tests: dict[str, list[Test]] = {}
    for test in kernel.tests:
        if test.began:
            tests.setdefault(test.guest, []).append(test)
    lanes: list[list[_Piece]] = []
    for guest in sorted(kernel.guests, key=lambda guest: guest.began):
        pieces = []
        if guest.began and guest.seconds:
            life = f"{guest.name}, {guest.ended} after {clock(guest.seconds)}"
            pieces.append(_Piece(guest.began, guest.seconds, "guest", life))
        if guest.began and guest.boot_seconds is None:
            title = f"{guest.name} did not boot"
            pieces.append(_Piece(guest.began, guest.seconds, "crash", title, bad=True))
        elif guest.began:
            boot = guest.boot_seconds or guest.seconds
            pieces.append(_Piece(guest.began, boot, "boot", f"{guest.name} boots, {clock(boot)}"))
        for test in tests.get(guest.name, []):
            pieces.append(_test(test, links.get((kernel.label, test.id), "")))
        if not pieces:
            continue
        begin = min(piece.began for piece in pieces)
        free = (lane for lane in lanes if max(piece.end for piece in lane) <= begin + 0.5)
        lane = next(free, None)
        if lane is None:
            lanes.append(pieces)
        else:
            lane += pieces
    return lanes


def _test(test: Test, link: str) -> _Piece:
    title = f"{test.outcome} {test.id.rpartition('::')[2]}, {clock(test.seconds)}"
    bad = test.outcome.bad and test.outcome is not Outcome.NOTRUN
    seconds = test.ended - test.began if test.ended else test.seconds
    return _Piece(test.began, max(seconds, 0.0), test.outcome.value, title, link, bad)


def _bars(pieces: Iterable[_Piece], begin: float, whole: float) -> tuple[Bar, ...]:
    """Return a lane's bars; bad ones are on top, and never too thin to be seen."""
    good, bad = _Layer(1.5), _Layer(3.0)
    for piece in sorted(pieces, key=lambda piece: piece.began):
        layer = bad if piece.bad else good
        layer.add(piece, WIDTH * (piece.began - begin) / whole, WIDTH * piece.seconds / whole)
    return (*good.bars, *bad.bars)


@dataclasses.dataclass
class _Layer:
    """Bars side by side; a bar that is too thin to be seen is merged into the one before it."""

    least: float
    bars: list[Bar] = dataclasses.field(default_factory=list)
    joined: int = 1  # pieces in the last bar

    def add(self, piece: _Piece, left: float, width: float) -> None:
        last = self.bars[-1] if self.bars else None
        is_test = last and last.kind not in ("boot", "guest") and last.kind[:5] != "stage"
        if last and is_test and left + width - last.left < 2 * _THIN:
            self.joined += 1
            width = max(last.width, left + width - last.left)
            title = f"{self.joined} tests, {last.kind} first"
            self.bars[-1] = dataclasses.replace(last, width=width, title=title)
            return
        self.joined = 1
        width = max(width, self.least)
        self.bars.append(Bar(min(left, WIDTH - width), width, piece.kind, piece.title, piece.link))


def _ticks(whole: float) -> tuple[tuple[float, str], ...]:
    step = next((seconds for seconds in _STEPS if whole / seconds <= _TICKS), whole / _TICKS)
    times = [number * step for number in range(int(whole / step) + 1)]
    labels = ["0", *(clock(seconds).replace(".0s", "s") for seconds in times[1:])]
    return tuple((WIDTH * t / whole, label) for t, label in zip(times, labels, strict=True))
