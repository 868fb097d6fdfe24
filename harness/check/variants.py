# SPDX-License-Identifier: GPL-2.0-only
"""Compile what a series touches with its options at other values, and for 32 bits.

Only the touched files are compiled, on the base and on the tip: linking a whole kernel for each
variant would take hours.  So a symbol that is missing when an option is off is not seen here.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness import build, kbuild, kconfig, process, tree
from harness.build import output
from harness.check import builds
from harness.check.spans import identity, place
from harness.check.steps import Steps
from harness.errors import HostFault, NotBuilt, NotConfigured
from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    Checkout,
    Finding,
    Option,
    Request,
    Severity,
    Toolchain,
)
from harness.progress import Progress

MOST = 8  # options that are varied
SHOWN = 3  # variants that are named with a finding
_NARROW = "ARCH=i386"  # a later word for make wins over an earlier one


@dataclasses.dataclass(frozen=True)
class Variant:
    """A name for people, the options that differ, words for make; ``other``: the other compiler."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()
    other: bool = False


def variants(options: Sequence[str], compiler: Toolchain) -> tuple[Variant, ...]:
    """Give the variants: each option at y, m and n, 32 bits where there are such, a compiler.

    clang beside gcc and gcc beside clang, if it is installed.
    """
    found = [
        Variant(f"{name}={value}", ((name, value),)) for name in options[:MOST] for value in "ymn"
    ]
    if compiler.arch == "x86_64":
        found.append(Variant("32-bit", words=(_NARROW,)))
    if not compiler.cross and (other := _other(compiler)):
        found.append(Variant(other.compiler, other=True))
    return tuple(found)


def _other(compiler: Toolchain) -> Toolchain | None:
    """Give the compiler beside this one, with all that a build with it needs."""
    try:
        found = build.toolchain(compiler.arch, not compiler.llvm)
        kbuild.check(found)
    except HostFault:
        return None
    return found


class Compiler:
    """Compiles the touched files of a checkout as a variant has them."""

    def __init__(
        self, slot: tree.Slot, request: Request, compiler: Toolchain, jobs: int, progress: Progress
    ) -> None:
        self.slot, self.request, self.toolchain = slot, request, compiler
        self.jobs = jobs or len(os.sched_getaffinity(0))
        self.progress = progress

    def compile(
        self, variant: Variant, checkout: Checkout, files: Iterable[str]
    ) -> tuple[Finding, ...] | str:
        """Give all warnings and errors, or why there is no such configuration.

        The checkout must be in the worktree.  All variants of a compiler have one folder: what
        an option does not change is not made again.
        """
        base = (_other(self.toolchain) if variant.other else None) or self.toolchain
        words = (*base.words, *builds.WARN, "HARNESS=variants", *variant.words)
        toolchain = dataclasses.replace(base, words=words)
        request = _with(self.request, variant)
        out = build.folder(checkout, self.request, toolchain)
        goals = [
            str(Path(file).with_suffix(".o"))
            for file in files
            if file.endswith(".c") and (checkout.path / file).is_file()
        ]
        with self.progress.stage("variant", f"{variant.name}, {len(goals)} objects"):
            try:
                got = kconfig.attempt(checkout.path, out, request, toolchain)
            except (NotConfigured, HostFault) as error:  # such as a compiler that is too old
                return error.what
            for name, value in variant.options:
                if got.get(name, "n") != value:
                    return f"CONFIG_{name} is {got.get(name, 'n')} all the same"
            return self._made(checkout, out, toolchain, goals)

    def _made(
        self, checkout: Checkout, out: Path, toolchain: Toolchain, goals: list[str]
    ) -> tuple[Finding, ...]:
        said: list[str] = []
        for goal in goals:  # what is compiled already would warn no more
            (out / goal).unlink(missing_ok=True)
        words = kbuild.command(checkout.path, out, toolchain)
        argv = [*words, "--keep-going", f"-j{self.jobs}", "--output-sync=target", *goals]
        env = {**kbuild.environment(), **build.ccache()}
        process.follow(argv, said.append, env=env)
        source = str(checkout.path)
        found = [output.warning(line, source) for line in said]
        warnings = [
            Finding(Severity.ERROR, one.text, one.file, one.line, "warning") for one in found if one
        ]
        broken = "\n".join(line for line in output.errors(said, source) if "No rule to" not in line)
        errors = builds.errors(NotBuilt("", details=broken)) if broken else ()
        return tuple(dict.fromkeys((*warnings, *(one for one in errors if one.text))))


def _with(request: Request, variant: Variant) -> Request:
    names = {name for name, _ in variant.options}
    kept = [one for one in request.options if one.name.removeprefix("CONFIG_") not in names]
    more = [Option(name, value, "a variant") for name, value in variant.options]
    if any(value == "m" for _, value in variant.options):
        kept = [one for one in kept if one.name.removeprefix("CONFIG_") != "MODULES"]
        more.append(Option("MODULES", "y", "a variant"))
    return Request((*kept, *more))


Known = dict[str, tuple[Finding, ...] | str]


def check(
    compiler: Compiler, wanted: Sequence[Variant], done: Steps, files: Sequence[str]
) -> list[Cell]:
    """Compile all variants on the base and on the tip; what is new is then looked for by patch."""
    base, tip = (_compiled(compiler, wanted, one, files) for one in (done.base, done.tip))
    compiled = [one.name for one in wanted if not isinstance(tip[one.name], str)]
    notes = [f"compiled with {', '.join(compiled)}"] if compiled else []
    not_had = [f"{name} ({why})" for name, why in tip.items() if isinstance(why, str)]
    notes += [f"cannot be had: {', '.join(not_had)}"] if not_had else []
    if not compiled:
        return [
            Cell(WHOLE_SERIES, "variants", CellState.UNKNOWN, (), "; ".join(notes) or "no options")
        ]
    groups: dict[tuple[str, str, str], list[tuple[str, Finding]]] = {}
    for name in compiled:
        for one in _new(base[name], [(1, tip[name])])[1]:
            groups.setdefault(identity(one), []).append((name, one))
    first = {some[0][0] for some in groups.values()}
    placed = _placed(compiler, [one for one in wanted if one.name in first], done, base, tip, files)
    found: dict[int, list[Finding]] = {WHOLE_SERIES: []}
    for key, some in groups.items():
        enters = placed[some[0][0]].get(key, 0)
        whole = dataclasses.replace(some[0][1], text=_text(some, compiled), enters=enters, leaves=0)
        for number in {WHOLE_SERIES, enters}:
            found.setdefault(number, []).append(whole)
    return [
        Cell.of(number, "variants", tuple(some), "" if number else "; ".join(notes))
        for number, some in found.items()
    ]


def _text(some: Sequence[tuple[str, Finding]], compiled: Sequence[str]) -> str:
    """Say with which variants a finding is there."""
    names = [name for name, _ in some]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    words = "all variants" if len(names) == len(compiled) else ", ".join(names[:SHOWN]) + more
    return f"with {words}: {some[0][1].text}"


def _compiled(
    compiler: Compiler, wanted: Sequence[Variant], checkout: Checkout, files: Iterable[str]
) -> Known:
    compiler.slot.check_out(checkout)
    return {one.name: compiler.compile(one, checkout, files) for one in wanted}


def _new(
    base: tuple[Finding, ...] | str, rows: Sequence[tuple[int, tuple[Finding, ...] | str]]
) -> dict[int, tuple[Finding, ...]]:
    known = [(number, None if isinstance(some, str) else some) for number, some in rows]
    return place(() if isinstance(base, str) else base, known)


def _placed(
    compiler: Compiler,
    wanted: Sequence[Variant],
    done: Steps,
    base: Known,
    tip: Known,
    files: Sequence[str],
) -> dict[str, dict[tuple[str, str, str], int]]:
    """Give for each variant in which patch the findings of the tip enter."""
    between = (
        [_compiled(compiler, wanted, one, files) for one in done.patched[:-1]] if wanted else []
    )
    last = len(done.patched)
    found = {}
    for one in wanted:
        rows = [(n, known[one.name]) for n, known in enumerate((*between, tip), 1)]
        found[one.name] = {identity(new): new.enters for new in _new(base[one.name], rows)[last]}
    return found
