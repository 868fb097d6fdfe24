# SPDX-License-Identifier: GPL-2.0-only
"""Compile the touched files with other values of their options, for 32 bits, and with clang.

Only the touched files are compiled, on the base and on the tip: linking a whole kernel for each
variant would take hours.  So symbols that are missing at link time are not detected.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from harness import architectures, build, kbuild, kconfig
from harness.build import output
from harness.check import builds
from harness.check.extra_warnings import WARN, make_objects
from harness.check.findings import Key, identity, new_findings
from harness.check.mail import removed_lines
from harness.check.walk import Found, Walk
from harness.errors import HostFault, NotBuilt, NotConfigured
from harness.lab.kernels import Lab
from harness.lab.plan import make_jobs
from harness.model import (
    WHOLE_SERIES,
    Cell,
    CellState,
    Checkout,
    Finding,
    Option,
    Request,
    Toolchain,
)

MOST = 8  # maximum number of options that are varied
SHOWN = 3  # maximum number of variants named with a finding

_OBJECT = re.compile(r"^(?:obj|lib)-(?:\$\(CONFIG_(\w+)\)|y|m)\s*[:+]?=\s*(.*)$")
_PART = re.compile(r"^([\w-]+?)-(?:objs|y|m|\$\(CONFIG_(\w+)\))\s*[:+]?=\s*(.*)$")
_CONDITION = re.compile(
    r"^\s*#\s*(?:el)?if(?:n?def)?\b|\bIS_(?:ENABLED|BUILTIN|MODULE|REACHABLE)\b"
)
_NAME = re.compile(r"\bCONFIG_(\w+)\b")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A configuration: changed options, arguments for make; ``other``: with the other compiler."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()
    other: bool = False


def cells(walk: Walk, check: str) -> Iterator[Cell]:
    """Compile all variants on the base and on the tip, and find the patch of each new finding."""
    applied = walk.applied
    if not applied.patched:
        return
    walk.slot.check_out(applied.tip)  # the series may add Makefiles
    compiler = _Compiler(walk)
    options = guarding_options(applied.tip.path, walk.files, _changed_lines(walk))
    variants = choose(options, walk.lab.toolchain)
    base, tip = (compiler.compile_all(variants, commit) for commit in (applied.base, applied.tip))
    compiled = [variant.name for variant in variants if not isinstance(tip[variant.name], str)]
    failed = [f"{name} ({found})" for name, found in tip.items() if isinstance(found, str)]
    notes = [f"compiled with {', '.join(compiled)}"] if compiled else []
    notes += [f"not possible: {', '.join(failed)}"] if failed else []
    note = "; ".join(notes) or "no options"
    if not compiled:
        yield Cell(WHOLE_SERIES, check, CellState.UNKNOWN, (), note)
        return
    groups: dict[Key, list[tuple[str, Finding]]] = {}
    for name in compiled:
        for finding in _new([base[name], tip[name]])[1]:
            groups.setdefault(identity(finding), []).append((name, finding))
    first = {group[0][0] for group in groups.values()}
    culprits = _culprits(
        compiler, [variant for variant in variants if variant.name in first], base, tip
    )
    by_patch: dict[int, list[Finding]] = {WHOLE_SERIES: []}
    for key, group in groups.items():
        name, finding = group[0]
        names = [name for name, _ in group]
        enters = culprits[name].get(key, 0)
        text = f"with {_named(names, compiled)}: {finding.text}"
        finding = dataclasses.replace(finding, text=text, enters=enters, leaves=0)
        for number in {WHOLE_SERIES, enters}:
            by_patch.setdefault(number, []).append(finding)
    for number, findings in by_patch.items():
        yield Cell.of(number, check, tuple(findings), "" if number else note)


def _named(names: Sequence[str], compiled: Sequence[str]) -> str:
    """Name the variants that have a finding."""
    if len(names) == len(compiled):
        return "all variants"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _new(commits: Sequence[Found]) -> dict[int, tuple[Finding, ...]]:
    base, *patches = (None if isinstance(found, str) else found for found in commits)
    return new_findings((base, *patches))


def _culprits(
    compiler: _Compiler,
    variants: Sequence[Variant],
    base: Mapping[str, Found],
    tip: Mapping[str, Found],
) -> dict[str, dict[Key, int]]:
    """Return for each variant the patch that introduces each finding of the tip."""
    patched = compiler.walk.applied.patched
    between = [compiler.compile_all(variants, commit) for commit in patched[:-1] if variants]
    culprits = {}
    for variant in variants:
        commits = [commit[variant.name] for commit in (base, *between, tip)]
        at_tip = _new(commits)[len(patched)]
        culprits[variant.name] = {identity(finding): finding.enters for finding in at_tip}
    return culprits


def choose(options: Sequence[str], compiler: Toolchain) -> tuple[Variant, ...]:
    """Return the variants: each option at y, m and n, 32 bits, and the other compiler.

    The other compiler is clang for gcc and gcc for clang, if it is installed.
    """
    variants = [
        Variant(f"{name}={value}", ((name, value),)) for name in options[:MOST] for value in "ymn"
    ]
    # A later make argument overrides an earlier one.
    if narrow := architectures.named(compiler.arch).narrow:
        variants.append(Variant("32-bit", words=(narrow,)))
    if not compiler.cross and (other := _other_compiler(compiler)):
        variants.append(Variant(other.compiler, other=True))
    return tuple(variants)


def _other_compiler(compiler: Toolchain) -> Toolchain | None:
    """Return the other compiler, if everything needed to build with it is installed."""
    try:
        other = build.toolchain(compiler.arch, not compiler.llvm)
        kbuild.check(other)
    except HostFault:
        return None
    return other


class _Compiler:
    """Compiles the touched files of a commit in each variant."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.lab: Lab = walk.lab
        self.jobs = make_jobs(walk.plan)

    def compile_all(self, variants: Iterable[Variant], checkout: Checkout) -> dict[str, Found]:
        """Return the warnings and errors of each variant, or why it cannot be configured."""
        self.walk.slot.check_out(checkout)
        return {variant.name: self._compile(variant, checkout) for variant in variants}

    def _compile(self, variant: Variant, checkout: Checkout) -> Found:
        """Compile one variant.

        All variants of a compiler share a build folder, so that only files that depend on a changed
        option are compiled again.
        """
        compiler = (_other_compiler(self.lab.toolchain) if variant.other else None) or (
            self.lab.toolchain
        )
        words = (*compiler.words, *WARN, "HARNESS=variants", *variant.words)
        compiler = dataclasses.replace(compiler, words=words)
        out = build.folder(checkout, self.lab.request, compiler)
        source = checkout.path
        goals = [
            str(Path(file).with_suffix(".o"))
            for file in self.walk.files
            if file.endswith(".c") and (source / file).is_file()
        ]
        with self.walk.progress.stage("variant", f"{variant.name}, {len(goals)} objects"):
            request = with_options(self.lab.request, variant)
            try:
                config = kconfig.attempt(source, out, request, compiler)
            except (NotConfigured, HostFault) as error:  # for example, the compiler is too old
                return error.what
            for name, value in variant.options:
                if config.get(name, "n") != value:
                    return f"CONFIG_{name} stayed {config.get(name, 'n')}"
            return self._make(source, out, compiler, goals)

    def _make(
        self, source: Path, out: Path, compiler: Toolchain, goals: Sequence[str]
    ) -> tuple[Finding, ...]:
        lines = make_objects(source, out, compiler, goals, self.jobs)
        top = str(source)
        warnings = filter(None, (output.warning(line, top) for line in lines))
        errors = [line for line in output.errors(lines, top) if "No rule to" not in line]
        broken = builds.errors(NotBuilt("", details="\n".join(errors))) if errors else ()
        findings = (*builds.as_findings(warnings), *(error for error in broken if error.text))
        return tuple(dict.fromkeys(findings))


def with_options(request: Request, variant: Variant) -> Request:
    """Return a request with a variant's options; an option at m needs CONFIG_MODULES."""
    options = dict(variant.options)
    if "m" in options.values():
        options["MODULES"] = "y"
    kept = [o for o in request.options if o.name.removeprefix("CONFIG_") not in options]
    return Request((*kept, *(Option(name, value, "a variant") for name, value in options.items())))


def _changed_lines(walk: Walk) -> Iterator[str]:
    for file in (file for patch in walk.mails for file in patch.letter.diffs):
        yield from (*file.added, *removed_lines(file))


def guarding_options(tree: Path, files: Iterable[str], lines: Iterable[str]) -> tuple[str, ...]:
    """Return the options that guard ``files`` in Makefiles, and those in conditions in ``lines``.

    ``lines`` are those that the series adds and removes.  Names are without CONFIG_.
    """
    names: dict[str, None] = {}
    for file in files:
        if file.endswith((".c", ".S")):
            names |= dict.fromkeys(_makefile_options(tree, PurePosixPath(file)))
    for line in lines:
        if _CONDITION.search(line):
            names |= dict.fromkeys(_NAME.findall(line))
    return tuple(names)


def _makefile_options(tree: Path, file: PurePosixPath) -> Iterator[str]:
    """Yield the options that control a file's object and the folders above it."""
    name = f"{file.stem}.o"
    for folder in file.parents:
        rules = list(_makefile_rules(tree / folder))
        # A part of a composite object depends on the option of that object.
        names = {name}
        for composite, option, objects in rules:
            if composite and names & objects:
                names.add(f"{composite}.o")
                if option:
                    yield option
        for composite, option, objects in rules:
            if not composite and option and names & objects:
                yield option
        name = f"{folder.name}/"


def _makefile_rules(folder: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Yield (composite object or "", option or "", objects) of a folder's Makefile."""
    file = next((file for file in (folder / "Kbuild", folder / "Makefile") if file.is_file()), None)
    if file is None:
        return
    for line in re.sub(r"\\\n", " ", file.read_text(errors="replace")).splitlines():
        text = line.split("#")[0].strip()
        if match := _OBJECT.match(text):
            yield "", match[1] or "", set(match[2].split())
        elif match := _PART.match(text):
            yield match[1], match[2] or "", set(match[3].split())
