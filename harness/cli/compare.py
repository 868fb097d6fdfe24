# SPDX-License-Identifier: GPL-2.0-only
"""``harness compare``: what differs between two runs."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import rich.console

from harness import compare, errors, history, paths
from harness.cli import report
from harness.cli.parser import add_options
from harness.cli.summary import word
from harness.model import Change, ChangeKind, Comparison, Outcome
from harness.progress import Progress, clock
from harness.serial import to_json
from harness.text import printable

DESCRIPTION = """\
Compare what two kernels did: every test whose outcome differs, new splats, new
warnings, and times and memory that changed by more than the usual noise.

A test that passes on the base and fails on the patched kernel is only a suspect until
it has been rerun on both, alone in a fresh guest: if it passes every time on the base
and fails every time on the patched kernel it is a regression, otherwise it is flaky.
Exit code 1 when the patched kernel is worse."""

EXAMPLES = """\
examples:
  harness compare runs/v1 runs/v2              the kernels that two runs judged
  harness compare 3fa9 last                    by their ids, see harness runs
  harness compare runs/v2/base runs/v2/patched   the two sides of one run
  harness compare --rerun 5 runs/v1 runs/v2    be sure of each regression
  harness compare --rerun 0 --json a b         boot nothing, answer a script
"""

SHOWN = 20  # lines of a kind; --json has all
_LOOKS = {
    ChangeKind.REGRESSION: ("regression{s}", "red"),
    ChangeKind.SUSPECT: ("suspected regression{s}, not rerun on both kernels", "red"),
    ChangeKind.FIX: ("fixed", "green"),
    ChangeKind.FLAKY: ("flaky", "yellow"),
    ChangeKind.CHANGED: ("other change{s}", "yellow"),
    ChangeKind.NEW: ("new test{s}", "dim"),
    ChangeKind.GONE: ("test{s} gone", "yellow"),
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = commands.add_parser(
        "compare",
        help="say what differs between two runs",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", type=Path, metavar="BASE", help="a run, or the folder of a side")
    parser.add_argument("patched", type=Path, metavar="PATCHED", help="the one to judge")
    add_options(parser, "compare")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, progress: Progress) -> int:
    """Compare and show."""
    base, patched = (
        compare.read(_folder(one, options.db)) for one in (options.base, options.patched)
    )
    uses = (base.folder, patched.folder)
    with (
        paths.in_use(),
        history.recording(
            options.verb, options.command, progress.say, db=options.db, uses=uses
        ) as recording,
    ):
        place = _place(options.out)
        recording.at(place)
        found = compare.compare(base, patched, options.reruns, place, progress)
        verdict = found.verdict
        more = {"verdict": verdict.value, "exit_code": verdict.exit_code}
        text = json.dumps({**to_json(found), **more}, indent=1)
        with paths.writing(place, "name another folder with --out DIR"):
            (place / "compare.json").write_text(text, encoding="utf-8")
        recording.finish(verdict)
    if options.json:
        print(text)
    else:
        show(found)
        print(f"evidence {place}")
    return verdict.exit_code


def _folder(word: Path, db: str) -> Path:
    """Give the folder that is meant: by its path, or as a run's id, its name or "last"."""
    if word.exists() or len(word.parts) > 1:
        return word
    return report.find(str(word), db)


def _place(out: Path | None) -> Path:
    """Make the folder of the evidence; it may hold something else, but no comparison."""
    if not out:
        runs = paths.state("runs")
        return Path(tempfile.mkdtemp(prefix=f"{time.strftime('%Y%m%d-%H%M%S')}-compare-", dir=runs))
    place = out.absolute()
    with paths.writing(place, "name another folder with --out DIR"):
        place.mkdir(parents=True, exist_ok=True)
    if (place / "compare.json").exists():
        raise errors.HostFault(
            f"{place} holds a comparison already", hint="name another with --out"
        )
    return place


def show(found: Comparison) -> None:
    """Print for people: worst first, the verdict last."""
    console = rich.console.Console(highlight=False, soft_wrap=True, markup=False)
    for kind, (title, colour) in _LOOKS.items():
        some = found.of(kind)
        _listed(console, _many(len(some), title), colour, _lines(some))
    splats = [f"{one.title} [{one.test}]" for one in found.splats]
    places = [f"{one.file}:{one.line}: {one.text}" for one in found.warnings]
    _listed(console, _many(len(splats), "new splat{s}"), "red", splats)
    healed = [one.title for one in found.healed]
    _listed(console, _many(len(healed), "splat{s} gone"), "green", healed)
    _listed(console, _many(len(places), "new warning{s}"), "red", places)
    shifts = [
        f"{one.what}: {_amount(one.base, one.unit)} -> {_amount(one.patched, one.unit)}"
        for one in found.shifts
    ]
    _listed(console, _many(len(shifts), "change{s} in time or memory"), "yellow", shifts)
    if found.error:
        console.print(f"patched: {printable(found.error)}", style="red")
    console.print(_many(found.same, "test{s} unchanged\n"))
    told = found.untestable or f"{found.patched} against {found.base}"
    console.print(word(found.verdict), printable(told))


def _many(number: int, words: str) -> str:
    return f"{number} {words.format(s='' if number == 1 else 's')}"


def _lines(some: tuple[Change, ...]) -> list[str]:
    """Give a line for each test; of many, for each bad one, and the rest by their files."""
    if len(some) <= SHOWN:
        return [_line(one) for one in some]
    bad = [one for one in some if one.patched.bad]
    files = Counter(one.test.partition("::")[0] for one in some if one not in bad)
    return [_line(one) for one in bad] + [f"{file}: {count}" for file, count in files.items()]


def _line(one: Change) -> str:
    outcomes = " -> ".join(_WORDS.get(each, each) for each in (one.base, one.patched))
    if any(one.again):
        words = (" ".join(some) or "could not be run" for some in one.again)
        outcomes += " (again: {} -> {})".format(*words)
    return f"{one.test}: {outcomes}{f'  {one.text}' if one.text else ''}"


def _amount(value: float, unit: str) -> str:
    return clock(value) if unit == "s" else f"{value:.0f} {unit}"


_WORDS = {Outcome.NOTRUN: "not there"}


def _listed(console: rich.console.Console, title: str, colour: str, lines: list[str]) -> None:
    if not lines:
        return
    console.print(f"{title}:", style=colour)
    for line in lines[:SHOWN]:
        console.print(f"  {printable(line)}")
    if len(lines) > SHOWN:
        console.print(f"  ... and {len(lines) - SHOWN} more")
    console.print()
