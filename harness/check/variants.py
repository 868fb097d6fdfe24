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
from harness.check.spans import place
from harness.check.values import WHOLE, Cell, Finding, Level, State, cell
from harness.errors import NotBuilt, NotConfigured
from harness.model import Checkout, Option, Request, Toolchain
from harness.progress import Progress

MOST = 8  # options that are varied; a series that touches more is told so
_NARROW = "ARCH=i386"  # a later word for make wins over an earlier one


@dataclasses.dataclass(frozen=True)
class Variant:
    """A name for people, the options that differ, and words for make."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()


def variants(options: Sequence[str], arch: str) -> tuple[Variant, ...]:
    """Give the variants of these options: each at y, m and n, and 32 bits where there are such."""
    found = [
        Variant(f"{name}={value}", ((name, value),)) for name in options[:MOST] for value in "ymn"
    ]
    narrow = [Variant("32-bit", words=(_NARROW,))] if arch == "x86_64" else []
    return (*found, *narrow)


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

        The checkout must be in the worktree.
        """
        toolchain = dataclasses.replace(
            self.toolchain, words=(*self.toolchain.words, "W=1", *variant.words)
        )
        request = _with(self.request, variant)
        out = build.folder(checkout, request, toolchain)
        try:
            got = kconfig.attempt(checkout.path, out, request, toolchain)
        except NotConfigured as error:
            return error.what
        for name, value in variant.options:
            if got.get(name, "n") != value:
                return f"CONFIG_{name} is {got.get(name, 'n')} all the same"
        goals = [
            str(Path(file).with_suffix(".o"))
            for file in files
            if file.endswith(".c") and (checkout.path / file).is_file()
        ]
        with self.progress.stage("variant", f"{variant.name}, {len(goals)} objects"):
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
            Finding(Level.ERROR, one.text, one.file, one.line, "warning") for one in found if one
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


def check(
    compiler: Compiler,
    wanted: Sequence[Variant],
    sides: tuple[Checkout, Checkout],
    files: Sequence[str],
) -> list[Cell]:
    """Compile all variants on the base, then all on the tip; gives one cell for the whole."""
    known: list[dict[str, tuple[Finding, ...] | str]] = []
    for checkout in sides:
        compiler.slot.check_out(checkout)
        known.append({one.name: compiler.compile(one, checkout, files) for one in wanted})
    found: list[Finding] = []
    done, not_had = [], []
    for one in wanted:
        base, tip = (side[one.name] for side in known)
        if isinstance(tip, str):
            not_had.append(f"{one.name} ({tip})")
            continue
        done.append(one.name)
        new = place(() if isinstance(base, str) else base, [(1, tip)])[1]
        found += [
            dataclasses.replace(f, text=f"with {one.name}: {f.text}", enters=0, leaves=0)
            for f in new
        ]
    notes = [f"compiled with {', '.join(done)}"] if done else []
    notes += [f"cannot be had: {', '.join(not_had)}"] if not_had else []
    if not done:
        return [Cell(WHOLE, "variants", State.UNKNOWN, (), "; ".join(notes) or "no options")]
    return [cell(WHOLE, "variants", tuple(found), "; ".join(notes))]
