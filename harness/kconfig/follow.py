# SPDX-License-Identifier: GPL-2.0-only
"""Find the options without which nothing, or not all, of a series would be compiled."""

from __future__ import annotations

import contextlib
import dataclasses
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from harness import architectures, git, kbuild, paths
from harness.diff import FileDiff
from harness.kbuild import includes
from harness.kbuild.expression import ALWAYS, Expression, Name, both, either, level
from harness.kbuild.includes import Inclusion, is_public
from harness.kbuild.makefiles import Makefiles
from harness.kconfig import guards
from harness.kconfig.choose import Chooser, NewValues
from harness.kconfig.reader import KconfigOptions, read_kconfig
from harness.model import Followed, Option, Request

ORIGIN = "the series"
_NEW_OPTION = re.compile(r"^\s*(?:menu)?config\s+(\w+)\s*$")
# Files that may include a public header, in the order in which they are searched: reading the
# drivers takes five times as long as the rest, and headers only matter if no source includes it.
_CORE = (
    *("block", "crypto", "fs", "init", "io_uring", "ipc", "kernel", "lib", "mm", "net"),
    *("security", "virt"),
)
_DRIVERS = ("drivers", "samples", "sound")
_HEADERS = ("include", *_CORE, *_DRIVERS)
_NEAREST = 12  # files that include a header; more alternatives only cost time
_INDIRECT = 3  # headers that include a header that includes ...


@dataclasses.dataclass(frozen=True)
class NeededCondition:
    """A condition that the series needs; ``purpose`` completes "CONFIG_X=y is added: it ...".

    ``where`` is what is not compiled without it; empty if that is no part of the series.
    """

    condition: Expression
    where: str
    purpose: str


@dataclasses.dataclass(frozen=True)
class SeriesSources:
    """The tree with the series applied, and what the series changes in it.

    ``more`` are options that series.toml names, to be turned on in any case; X=n keeps X off.
    """

    repo: Path
    tree: str
    changed: Sequence[FileDiff]
    more: tuple[str, ...] = ()


def follow(
    sources: SeriesSources, config: Mapping[str, str], request: Request, arch: str
) -> Followed:
    """Return the options that compile the series, given the .config of the request alone.

    Takes seconds: it reads all of Kconfig.
    """
    with read_tree(sources, arch) as tree:
        return tree.follow(sources, config, request)


@contextlib.contextmanager
def read_tree(sources: SeriesSources, arch: str) -> Iterator[TreeOptions]:
    """Read all Kconfig files of a tree; the changed files can be read during the context."""
    touched = frozenset(file.path for file in sources.changed)
    folder = architectures.named(arch).folder
    with paths.scratch(paths.cache() / "follow") as scratch:
        git.export(sources.repo, sources.tree, scratch, lambda name: _is_read(name, touched))
        options, makefiles = read_kconfig(scratch, folder), Makefiles(scratch, folder)
        yield TreeOptions(scratch, options, makefiles, arch)


@dataclasses.dataclass(frozen=True)
class TreeOptions:
    """The options of a tree, what each is needed for, and the changed files in ``folder``."""

    folder: Path
    options: KconfigOptions
    makefiles: Makefiles
    arch: str

    def follow(
        self, sources: SeriesSources, config: Mapping[str, str], request: Request
    ) -> Followed:
        """Return the options that compile what ``sources`` changes.

        Options that the request would like to have, those of suggested suites, get what they
        depend on too.
        """
        arch_folder = architectures.named(self.arch).folder
        finder = _Needs(sources, self.folder, self.makefiles, config, arch_folder)
        wished = [
            NeededCondition(Name(option.name), "", f"is needed by {option.reason}")
            for option in request.options
            if option.optional and option.value != "n"
        ]
        needed, missed = [*finder.needed(), *wished], finder.missed
        requested = {option.name: option.value for option in request.options}
        requested |= {name.removesuffix("=n"): "n" for name in sources.more if "=n" in name}
        chooser = Chooser(self.options, config, requested, self.arch)
        new, added = NewValues(), list[Option]()
        for need in needed:
            result = chooser.choose(need.condition, new)
            if not isinstance(result, NewValues):
                if need.where:  # a suite without its options is just not run
                    missed.append(f"{need.where}: {result.why}")
                continue
            known = dict(new.new)
            added += [
                Option(name, value, ORIGIN, need.purpose, optional=True)
                for name, value in result.new
                if known.get(name) != value
                and name not in requested
                and (value != "n" or name in config)
            ]
            new = result
        kept = {option.name: option for option in added if config.get(option.name) != option.value}
        return Followed(tuple(kept.values()), _new_options(sources.changed), tuple(missed))


def _is_read(name: str, touched: Collection[str]) -> bool:
    return bool(name in touched or kbuild.KCONFIG.match(name) or kbuild.MAKE.match(name))


def _new_options(changed: Sequence[FileDiff]) -> tuple[str, ...]:
    """Return the options that only exist with the series."""
    names: dict[str, bool] = {}
    for file in changed:
        if kbuild.KCONFIG.match(file.path):
            for line in (line for hunk in file.hunks for line in hunk):
                if match := _NEW_OPTION.match(line.value):
                    names[match[1]] = names.get(match[1], True) and line.is_added
    return tuple(name for name, added in names.items() if added)


@dataclasses.dataclass
class _Needs:
    sources: SeriesSources
    folder: Path
    makefiles: Makefiles
    config: Mapping[str, str]
    arch_folder: str
    missed: list[str] = dataclasses.field(default_factory=list)

    def needed(self) -> Iterator[NeededCondition]:
        """Yield what the changed files and lines need: whole files first."""
        for name in self.sources.more:
            if name.endswith("=n"):
                continue
            yield NeededCondition(Name(name), f"CONFIG_{name}", "is named in series.toml")
        files = [file for file in self.sources.changed if file.new and self._can_be_compiled(file)]
        indirect = [file.path for file in files if not self._is_built_alone(file.path)]
        including = self._including(indirect)
        for file in files:
            alone = self.makefiles.condition(file.path)
            condition = alone or self._through(file.path, including, _INDIRECT)
            if condition is None:
                self.missed.append(f"{file.path}: no Makefile names it, and no source includes it")
            else:
                how = "" if alone else " through a file that includes it"
                yield NeededCondition(condition, file.path, f"builds {file.path}{how}")
        for file in files:
            yield from self._guarded(file)

    def _can_be_compiled(self, file: FileDiff) -> bool:
        if not file.path.endswith(kbuild.SOURCES):
            return False
        why = kbuild.outside_image(file.path, self.arch_folder)
        if why:
            self.missed.append(f"{file.path}: {why}")
        return not why

    def _is_built_alone(self, path: str) -> bool:
        return not path.endswith(".h") and self.makefiles.condition(path) is not None

    def _guarded(self, file: FileDiff) -> Iterator[NeededCondition]:
        """Yield the conditions around the changed lines, those of most lines first."""
        lines = set(file.added_numbers)
        path = self.folder / file.path
        if not lines or not path.is_file():
            return
        text = path.read_text(errors="replace")
        by_condition = guards.conditions(text, lines)
        by_number = Counter(by_condition.values()).most_common()
        # Lines that are compiled already come after as many that are not.
        values = {condition: level(condition, self.config) for condition, _ in by_number}
        for condition, _ in sorted(by_number, key=lambda pair: (-pair[1], values[pair[0]] == 2)):
            if values[condition] is not None and condition != ALWAYS:
                first = min(n for n, other in by_condition.items() if other == condition)
                where = f"{file.path}:{first}"
                yield NeededCondition(condition, where, f"compiles {where}")

    def _including(self, files: Sequence[str]) -> dict[str, list[Inclusion]]:
        """Return where each of the files is included, in a few searches of the tree."""
        found: dict[str, list[Inclusion]] = {file: [] for file in files}
        local = [file for file in files if not is_public(file)]
        self._search(local, {posixpath.dirname(file) for file in local}, found)
        unused = [file for file in local if not found[file] and file.count("/") > 1]
        self._search(unused, {posixpath.dirname(posixpath.dirname(f)) for f in unused}, found)
        public = [file for file in files if is_public(file)]
        own = f"arch/{self.arch_folder}"
        for places, kind in (((own, *_CORE), "c"), (_DRIVERS, "c"), ((own, *_HEADERS), "h")):
            self._search(public, [f"{place}/*.{kind}" for place in places], found)
            public = [file for file in public if not any(map(self._is_built, found[file]))]
        return found

    def _is_built(self, one: Inclusion) -> bool:
        """Whether the file that includes another one is in the configuration as it is."""
        condition = self.makefiles.condition(one.user)
        return condition is not None and bool(level(condition, self.config))

    def _search(
        self, files: Sequence[str], places: Collection[str], found: dict[str, list[Inclusion]]
    ) -> None:
        """Add the lines that include one of the files, in the files that match ``places``."""
        repo, tree = self.sources.repo, self.sources.tree
        for file, inclusion in includes.inclusions(repo, files, places, tree):
            found[file].append(inclusion)

    def _through(
        self, path: str, including: Mapping[str, Sequence[Inclusion]], depth: int
    ) -> Expression | None:
        """Return when a file is compiled as part of one that includes it."""
        users = including.get(path, [])
        near = sorted(users, key=lambda one: -len(posixpath.commonpath((one.user, path))))
        conditions: list[Expression] = []
        parts: list[Inclusion] = []  # headers, and sources that are a part of another one
        for one in near:
            if kbuild.outside_image(one.user, self.arch_folder):
                continue
            if not self._is_built_alone(one.user):
                parts.append(one)
            elif len(conditions) < _NEAREST:
                built = self.makefiles.condition(one.user) or ALWAYS
                condition = both(built, self._around(one))
                if level(condition, self.config):
                    return condition  # nothing is needed
                conditions.append(condition)
        if not conditions and parts and depth:
            parts = parts[:_NEAREST]
            further = self._including(list(dict.fromkeys(one.user for one in parts)))
            for one in parts:
                outer = self._through(one.user, further, depth - 1)
                conditions += [both(outer, self._around(one))] if outer else []
        return either(conditions)

    def _around(self, one: Inclusion) -> Expression:
        """Return when the line that includes a file is compiled."""
        text = git.content(self.sources.repo, self.sources.tree, one.user) or ""
        return guards.conditions(text, {one.line}).get(one.line, ALWAYS)
