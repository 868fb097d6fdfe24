# SPDX-License-Identifier: GPL-2.0-only
"""Runs for all combinations of series, kernels, configs, compilers and suites.

A cell is a run like that of ``harness run``: with its own folder, its record in the history, its
verdict and its report.  On workers several cells run at once.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import datetime
import difflib
import fnmatch
import itertools
import re
import shlex
import time
import tomllib
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness import build, history, kconfig, options, paths, process, publish, settings
from harness.cluster import connect
from harness.errors import HarnessError, Interrupted, UsageError
from harness.lab import folder as run_folder
from harness.lab import plan as lab_plan
from harness.model import AXES, MatrixCell, Plan, RunMatrix
from harness.progress import Progress
from harness.publish import html, sentences
from harness.results import store
from harness.run import run

if typing.TYPE_CHECKING:
    from harness.cluster.driver import Cluster

NO_SERIES = "no series"  # in the axis "series": the kernel as it is
COMPILERS = {"gcc": False, "llvm": True}  # with the value of Plan.llvm
_WORDS = 60  # characters of a cell's name


def read(file: Path) -> tuple[MatrixCell, ...]:
    """Return the cells that a TOML file describes.  Raises UsageError that names the wrong key."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        hint = "name a TOML file (docs/matrix.md)"
        raise UsageError(f"cannot read the matrix {file}: {why}", hint=hint) from error
    for key in table:
        if key not in AXES:
            near = difflib.get_close_matches(key, AXES, 1)
            hint = f"{near[0]} = [...]" if near else f"one of {', '.join(AXES)}"
            raise UsageError(f"{file}: a matrix has no axis {key!r}", hint=hint)
    axes = [_axis(file, axis, table[axis]) if axis in table else ((),) for axis in AXES]
    cells = [MatrixCell("", values) for values in itertools.product(*axes)]
    digits, some = len(str(len(cells))), RunMatrix("", file, Plan(), tuple(cells))
    return tuple(
        dataclasses.replace(cell, name=f"{number:0{digits}}-{_slug(cell, some.axes)}")
        for number, cell in enumerate(cells, 1)
    )


def _axis(file: Path, axis: str, listed: object) -> tuple[tuple[str, ...], ...]:
    """Return the values of an axis, each as the words that are used together."""
    example = f'{axis} = ["...", "..."]'
    if not isinstance(listed, list):
        raise UsageError(f"{file}: {axis} must be a list, not {listed!r}", hint=example)
    if not listed:
        raise UsageError(
            f"{file}: {axis} is empty, so there are no cells", hint=f"{example}, or leave it out"
        )
    several = axis in ("kconfig", "suites")
    values: list[tuple[str, ...]] = []
    for entry in listed:
        words = entry if isinstance(entry, list) and several else [entry]
        if not all(isinstance(word, str) and word.strip() for word in words):
            more = " or a list of strings" if several else ""
            raise UsageError(f"{file}: {axis}: {entry!r} is not a string{more}", hint=example)
        if axis == "compilers" and entry not in COMPILERS:
            raise UsageError(
                f"{file}: there is no compiler {entry!r}", hint=f"one of {', '.join(COMPILERS)}"
            )
        if tuple(words) in values:
            raise UsageError(f"{file}: {axis} has {entry!r} twice", hint="leave one of them out")
        values.append(tuple(words))
    return tuple(values)


def _slug(cell: MatrixCell, axes: Sequence[str]) -> str:
    """Return the words of a cell that others do not have, for its name and folder."""
    words = [cell.value(axis).rstrip("/").rpartition("/")[2] for axis in axes]
    return re.sub(r"[^\w.+]+", "-", " ".join(words))[:_WORDS].strip("-")


def named(cells: Sequence[MatrixCell], words: Sequence[str]) -> tuple[MatrixCell, ...]:
    """Return the cells that ``words`` name: numbers, names, or patterns such as "*llvm*".

    Without words that is all of them.  Raises UsageError for a word that names none.
    """
    found: set[str] = set()
    for word in words:
        matching = {
            cell.name
            for cell in cells
            if fnmatch.fnmatchcase(cell.name, word)
            or (word.isdecimal() and int(word) == int(cell.name.partition("-")[0]))
        }
        if not matching:
            near = difflib.get_close_matches(word, [cell.name for cell in cells], 1)
            hint = f"--only {near[0] if near else cells[0].name}, or --list to see all"
            raise UsageError(f"the matrix has no cell {word!r}", hint=hint)
        found |= matching
    return tuple(cell for cell in cells if cell.name in found or not words)


def typed_plan(cell: MatrixCell, common: Plan) -> Plan:
    """Return what a user would type for a cell; ``common`` is what all cells have."""
    series, kernel, kconfigs, compiler, suites = cell.values
    no_series = series == (NO_SERIES,)
    return dataclasses.replace(
        common,
        series_words=() if no_series else series,
        no_series=no_series,
        fragments=tuple(word for word in kconfigs if "=" not in word),
        assignments=tuple(word for word in kconfigs if "=" in word),
        llvm=COMPILERS[compiler[0]] if compiler else common.llvm,
        suites=suites,
        out=None,
        on="",
        tls=False,
        insecure=False,
        # With a tree, kernels are its commits.
        kernel=kernel[0] if kernel and not common.tree else "",
        base=kernel[0] if kernel and common.tree else "",
    )


def plans(matrix: RunMatrix) -> dict[str, Plan]:
    """Return the complete plan of each cell, by its name.

    Raises the error of a cell that cannot be run, such as UsageError for a series that does not
    exist: before the first one runs.  So does a cell that is the same as another one.
    """
    project, found = settings.load(matrix.plan.folder), dict[str, Plan]()
    for cell in matrix.cells:
        try:
            planned = lab_plan.trusted(lab_plan.complete(typed_plan(cell, matrix.plan), project))
            lab_plan.require_suites(planned)
            kconfig.request(
                planned.fragments, planned.assignments, planned.fragment_folders,
                arch=build.toolchain(planned.arch or None, planned.llvm).arch,
            )  # fmt: skip
        except HarnessError as error:
            what = f"cell {cell.name}: {error.what}"
            raise type(error)(what, hint=error.hint, details=error.details) from error
        found[cell.name] = planned
    tested = {name: _what_is_tested(planned) for name, planned in found.items()}
    for one, other in itertools.combinations(tested, 2):
        if tested[one] == tested[other]:
            raise UsageError(f"cells {one} and {other} are the same", hint="leave one of them out")
    return found


def _what_is_tested(planned: Plan) -> Plan:
    """Return a plan without the words that named its series."""
    return dataclasses.replace(planned, typed=None, notes=(), series_words=())


def run_matrix(
    matrix: RunMatrix,
    chosen: Sequence[MatrixCell],
    progress: Progress,
    began: Callable[[Path], None] = lambda _: None,
) -> RunMatrix:
    """Run the ``chosen`` cells that have no verdict yet; return the matrix with all results.

    matrix.json and the page are written after each cell.  ``began`` is called with the folder as
    soon as it exists.  Raises UsageError and SeriesError before the first cell, Interrupted, and
    HostFault if the folder cannot be written or there are no workers.
    """
    planned = plans(matrix)
    for note in dict.fromkeys(note for plan in planned.values() for note in plan.notes):
        progress.say(note)
    if not matrix.started:
        matrix = _started(matrix)
    began(matrix.folder)
    progress.say(f"evidence: {matrix.folder}")
    session = _Session(matrix, planned, progress)
    left = [cell for cell in chosen if not cell.decided]
    try:
        session.save()
        with connect.workers(matrix.plan, progress) as cluster:
            session.run(left, cluster)
    except (KeyboardInterrupt, Interrupted):
        done = sum(cell.decided for cell in session.matrix.cells)
        what = f"interrupted: {done} of {len(matrix.cells)} cells have a verdict"
        hint = f"harness matrix --resume {shlex.quote(str(matrix.folder))}"
        raise Interrupted(what, hint=hint) from None
    return session.matrix


def _started(matrix: RunMatrix) -> RunMatrix:
    """Make the folder of a new matrix."""
    run_folder.check(matrix.plan)
    started = datetime.datetime.now(datetime.UTC)
    return dataclasses.replace(
        matrix,
        folder=run_folder.make(matrix.plan, started, matrix.command, matrix.name),
        plan=dataclasses.replace(matrix.plan, out=None),
        started=started.isoformat(timespec="seconds"),
    )


class _Session:
    """The cells that are run now.  Each result is on disk at once."""

    def __init__(self, matrix: RunMatrix, planned: dict[str, Plan], progress: Progress) -> None:
        self.matrix, self._planned, self._progress = matrix, planned, progress
        self._begin, self._spent = time.monotonic(), matrix.seconds

    def run(self, cells: Sequence[MatrixCell], cluster: Cluster | None) -> None:
        """Run cells one after another, or on a cluster as many at once as it has workers."""
        if cluster is None:
            for cell in cells:
                self._progress.event("", f"cell {cell.name}, {self._position(cell)}")
                progress = self._progress.alike()
                self._record(self._run_cell(cell, progress, None))
            return
        with concurrent.futures.ThreadPoolExecutor(len(cluster.workers)) as pool:
            # The cluster shows what its workers do.
            futures = [
                pool.submit(self._run_cell, cell, Progress(quiet=True), cluster) for cell in cells
            ]
            try:
                for future in concurrent.futures.as_completed(futures):
                    self._record(future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                cluster.stop()
                process.interrupt_all()
                raise

    def _position(self, cell: MatrixCell) -> str:
        names = [other.name for other in self.matrix.cells]
        return f"{names.index(cell.name) + 1} of {len(names)}"

    def _run_cell(
        self, cell: MatrixCell, progress: Progress, cluster: Cluster | None
    ) -> MatrixCell:
        """Run a cell; return it with its result.  Raises Interrupted and KeyboardInterrupt."""
        begin, name = time.monotonic(), next(self._free_names(cell.name))
        place, planned = self.matrix.folder / name, self._planned[cell.name]
        assert planned.typed is not None
        typed = dataclasses.replace(planned.typed, out=place)
        command = tuple(options.command(typed))
        cell = dataclasses.replace(cell, folder=name, tests="")
        try:
            with history.recording(
                "run", command, progress.say, db=planned.db, series=planned.series
            ) as recording:
                result = run(
                    dataclasses.replace(planned, out=place, typed=typed),
                    progress, command, recording.at, cluster,
                )  # fmt: skip
                recording.finish(result.verdict, result)
            tests = sentences.tally(result.judged.tests)
            code, text = result.verdict.exit_code, sentences.verdict(result)
        except Interrupted:
            raise
        except HarnessError as error:
            code, text, tests = error.exit_code, error.what, ""
        with contextlib.suppress(HarnessError):  # nothing was tested
            if place.is_dir():
                html.write(html.page(place), place / publish.PAGE)
        seconds = round(time.monotonic() - begin, 1)
        return dataclasses.replace(cell, code=code, tests=tests, text=text, seconds=seconds)

    def _free_names(self, name: str) -> Iterator[str]:
        """Yield names of folders that no earlier attempt has used."""
        names = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(2)))
        return (free for free in names if not (self.matrix.folder / free).exists())

    def _record(self, ended: MatrixCell) -> None:
        cells = tuple(ended if cell.name == ended.name else cell for cell in self.matrix.cells)
        self.matrix = dataclasses.replace(self.matrix, cells=cells)
        self.save()
        mark = {0: "good", 1: "bad"}.get(typing.cast(int, ended.code), "odd")
        what = f"cell {ended.name}, {self._position(ended)}: {ended.state}"
        self._progress.event(mark, what, ended.text)

    def save(self) -> None:
        """Write matrix.json and the page."""
        spent = self._spent + time.monotonic() - self._begin
        self.matrix = dataclasses.replace(self.matrix, seconds=round(spent, 1))
        folder = self.matrix.folder
        with paths.writing(folder, run_folder.ELSEWHERE):
            store.save_matrix(self.matrix)
            html.write(html.page(folder), folder / publish.PAGE)
