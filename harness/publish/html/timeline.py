# SPDX-License-Identifier: GPL-2.0-only
"""The time line: stages on this machine, and each guest with its boot and its tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from harness.model import Outcome, Run, Span, Test
from harness.progress import clock
from harness.publish.html.columns import Column
from harness.publish.html.sections import Bar, Lane, Timeline

WHOLE = 1000.0  # the width of everything
_THIN = 0.7  # what is less wide is drawn together with its neighbour
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
_TICKS = 6


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Something from ``began`` on, in seconds since 1970."""

    began: float
    seconds: float
    kind: str
    title: str
    link: str = ""
    bad: bool = False

    @property
    def end(self) -> float:
        return self.began + self.seconds


def of(
    spans: Sequence[Span], columns: Sequence[Column], links: Mapping[tuple[str, str], str]
) -> Timeline | None:
    """Lay out a run; ``links`` lead from (kernel, test) to its failure.

    None where nobody wrote down when things began.  Kernels whose results are of an earlier run
    are left out.
    """
    rows = [("host", [_stage(span) for span in spans])] if spans else []
    for column in columns:
        if not column.cached:
            guests = enumerate(_guests(column, links), 1)
            rows += [(f"{column.label}, guest {number}", pieces) for number, pieces in guests]
    rows = [(name, pieces) for name, pieces in rows if pieces]
    if not rows:
        return None
    begin = min(piece.began for _, pieces in rows for piece in pieces)
    whole = max(piece.end for _, pieces in rows for piece in pieces) - begin or 1.0
    lanes = tuple(Lane(name, _bars(pieces, begin, whole)) for name, pieces in rows)
    reused = [column.label for column in columns if column.cached]
    note = f"{' and '.join(reused)}: results of an earlier run" if reused else ""
    stages = tuple((one.name, one.what, clock(one.seconds)) for one in spans)
    kinds = dict.fromkeys(bar.kind for lane in lanes for bar in lane.bars)
    return Timeline(lanes, _ticks(whole), stages, tuple(kinds), note)


def of_stages(run: Run) -> tuple[Span, ...]:
    """Give a run's stages; an older run knows only their order, and they are put in a row."""
    if run.timeline or not run.stages:
        return run.timeline
    found, begin = [], 1.0
    for name, seconds in run.stages:
        found.append(Span(name, "", begin, seconds))
        begin += seconds
    return tuple(found)


def _stage(span: Span) -> _Piece:
    title = f"{span.name} {span.what}".strip()
    kind = span.name if span.name in ("build", "test") else "other"
    return _Piece(span.began, span.seconds, f"stage-{kind}", f"{title}, {clock(span.seconds)}")


def _guests(side: Column, links: Mapping[tuple[str, str], str]) -> list[list[_Piece]]:
    """Give the pieces of guests; one that took another's place stands in the same lane."""
    tests: dict[str, list[Test]] = {}
    for test in side.tests:
        if test.began:
            tests.setdefault(test.guest, []).append(test)
    lanes: list[list[_Piece]] = []
    for guest in sorted(side.guests, key=lambda one: one.began):
        own = tests.get(guest.name, [])
        pieces = [_test(one, links.get((side.label, one.id), "")) for one in own]
        if guest.began:
            boot = guest.boot_seconds or guest.seconds
            words = f"{guest.name} boots, {clock(boot)}"
            if guest.boot_seconds is None:
                words = f"{guest.name} does not boot"
            kind = "boot" if guest.boot_seconds is not None else "crash"
            pieces.insert(0, _Piece(guest.began, boot, kind, words, bad=kind == "crash"))
            if guest.seconds:
                life = f"{guest.name}, {guest.ended} after {clock(guest.seconds)}"
                pieces.insert(0, _Piece(guest.began, guest.seconds, "guest", life))
        if not pieces:
            continue
        begin = min(piece.began for piece in pieces)
        free = next((lane for lane in lanes if max(one.end for one in lane) <= begin + 0.5), None)
        if free is None:
            lanes.append(pieces)
        else:
            free += pieces
    return lanes


def _test(test: Test, link: str) -> _Piece:
    title = f"{test.outcome} {test.id.rpartition('::')[2]}, {clock(test.seconds)}"
    bad = test.outcome.bad and test.outcome is not Outcome.NOTRUN
    seconds = test.ended - test.began if test.ended else test.seconds
    return _Piece(test.began, max(seconds, 0.0), test.outcome.value, title, link, bad)


@dataclasses.dataclass
class _Layer:
    """Bars that lie beside one another; what is too thin to be seen goes into the bar before."""

    least: float
    bars: list[Bar] = dataclasses.field(default_factory=list)
    joined: int = 1  # pieces in the last bar

    def add(self, piece: _Piece, left: float, width: float) -> None:
        last = self.bars[-1] if self.bars else None
        if last and _joins(last.kind) and left + width - last.left < 2 * _THIN:
            self.joined += 1
            width = max(last.width, left + width - last.left)
            words = f"{self.joined} tests, {last.kind} first"
            self.bars[-1] = dataclasses.replace(last, width=width, title=words)
            return
        self.joined = 1
        width = max(width, self.least)
        self.bars.append(Bar(min(left, WHOLE - width), width, piece.kind, piece.title, piece.link))


def _joins(kind: str) -> bool:
    return kind not in ("boot", "guest") and not kind.startswith("stage")


def _bars(pieces: Iterable[_Piece], begin: float, whole: float) -> tuple[Bar, ...]:
    """Lay out a lane; what is bad stands on top and is never too thin to be seen."""
    good, bad = _Layer(1.5), _Layer(3.0)
    for piece in sorted(pieces, key=lambda one: one.began):
        layer = bad if piece.bad else good
        layer.add(piece, WHOLE * (piece.began - begin) / whole, WHOLE * piece.seconds / whole)
    return (*good.bars, *bad.bars)


def _ticks(whole: float) -> tuple[tuple[float, str], ...]:
    step = next((one for one in _STEPS if whole / one <= _TICKS), whole / _TICKS)
    count = int(whole / step)
    return tuple((WHOLE * n * step / whole, _label(n * step)) for n in range(count + 1))


def _label(seconds: float) -> str:
    return "0" if not seconds else clock(seconds).replace(".0s", "s")
