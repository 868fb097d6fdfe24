# SPDX-License-Identifier: GPL-2.0-only
"""Choose the function to blame for a splat; see reporters, bystanders and dispatchers."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence

from harness.splat.bystanders import COMMON, IDLE
from harness.splat.dispatchers import CROSS_CALLS, DISPATCHERS, TIMER_INTERRUPTS
from harness.splat.function_groups import FunctionGroup, function_of, in_any
from harness.splat.kind_bystanders import FAMOUS_WAITS
from harness.splat.reporters import EXCEPTIONS, REPORTERS
from harness.splat.stacks import real_frames

_BUT_EXCEPTIONS = tuple(group for group in COMMON if group is not EXCEPTIONS)


def blame(
    candidates: Iterable[str], also: tuple[FunctionGroup, ...] = (), by_check: bool = False
) -> str:
    """Return the first function that is no bystander; "" if there are no candidates.

    ``also`` are bystanders in splats of this kind only.  If all functions are bystanders, choose
    the first that is none in other kinds; or else, if no exception but a check that somebody called
    reports the fault (``by_check``), the exception's handler that called it; or else the first that
    does more than report faults, or else the first.
    """
    names = list(functions(candidates))
    checked = (_BUT_EXCEPTIONS,) if by_check else ()
    for groups in (COMMON + also, COMMON, *checked, REPORTERS):
        if name := _first_outside(groups, names):
            return name
    return names[0] if names else ""


def culprit(candidates: Iterable[str], also: tuple[FunctionGroup, ...] = ()) -> str:
    """Return the first function that is no bystander; "" if there is none."""
    return _first_outside(COMMON + also, functions(candidates))


def anchor(frames: Sequence[str]) -> str:
    """Return the handler that leads to a stall or an endless recursion; "" if none is known.

    It is the function that a dispatcher called.  A bystander above a dispatcher was called by the
    dispatcher itself, which is then part of the loop.
    """
    above = ""
    for name in functions(frames):
        if name in CROSS_CALLS:
            return CROSS_CALLS.known_as
        stuck = above and (above in IDLE or not in_any(COMMON, above))
        if stuck and in_any(DISPATCHERS, name) and not in_any(DISPATCHERS, above):
            return above
        above = name
    return ""


def where_stalled(traces: Sequence[Sequence[str]], in_tick: bool) -> Sequence[str]:
    """Return the frames of what does not get on; ``in_tick``: what a timer's interrupt interrupted.

    A report of a stall also shows the thread that drives grace periods, which merely waits.
    """
    for trace in traces if in_tick else ():
        for n, name in enumerate(map(function_of, trace)):
            if name in TIMER_INTERRUPTS and trace[n + 1 :]:
                return trace[n + 1 :]
    driven = ("rcu_gp_kthread", "rcu_gp_fqs_loop")
    stalled = (t for t in traces if t and not any(function_of(f) in driven for f in t))
    return next(stalled, ())


def recurses(frames: Iterable[str]) -> bool:
    """Whether a function calls itself again and again."""
    return any(n > 2 for n in collections.Counter(functions(frames)).values())


def famous_wait(frames: Iterable[str]) -> str:
    """Return the name by which hung tasks that wait there are known; "" for all others."""
    found = (group for name in functions(frames) for group in FAMOUS_WAITS if name in group)
    return next((group.known_as for group in found), "")


def telling(frames: Iterable[str]) -> Iterator[str]:
    """Return the functions that distinguish this fault from others; recursion counts once."""
    names = (name for name, _ in itertools.groupby(functions(frames)))
    return (name for name in names if not in_any(COMMON, name))


def functions(frames: Iterable[str]) -> Iterator[str]:
    """Return the frames' functions, without those that only a decoded log shows."""
    return (function_of(frame) for frame in real_frames(frames) if not frame.startswith("0x"))


def _first_outside(groups: tuple[FunctionGroup, ...], names: Iterable[str]) -> str:
    return next((name for name in names if not in_any(groups, name)), "")
