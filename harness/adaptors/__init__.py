# SPDX-License-Identifier: GPL-2.0-only
"""Tests that are not pytest's: each kind has an adaptor, a module of this package.

A suite of such tests is named ``KIND:WHAT``, one of its items ``KIND:WHAT::ITEM``, and a result
that an item reports by itself ``KIND:WHAT::ITEM::SUBTEST``.  These names stand wherever the path of
a pytest suite may stand.  docs/own-suites.md says how to write another adaptor.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.model import Option, Outcome, Toolchain

if TYPE_CHECKING:  # guests and short commands do without
    from harness.adaptors.ktap import KtapTest
    from harness.progress import Progress

#: The kinds; each is a module of this package with an ADAPTOR.
KINDS = ("program", "kselftest", "kunit", "blktests", "fstests")
#: Begins the reason why an item is skipped of which a subtest was selected that it did not report.
NO_SUBTEST = "it has no subtest"


@dataclasses.dataclass(frozen=True)
class AdaptedSuite:
    """A suite's name, taken apart; ``item`` and ``subtest`` are empty unless one is selected."""

    kind: str
    what: str
    item: str = ""
    subtest: str = ""

    @property
    def name(self) -> str:
        """The suite's own name, without a selected test."""
        return f"{self.kind}:{self.what}"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One item of a suite: a program to run, in ``folder``.

    ``own_root``: it gets a root file system that it may write to, and loses it when it ends.
    ``groups`` are more names by which it can be selected, together with others.
    """

    name: str
    argv: tuple[str, ...] = ()
    folder: Path = Path()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    own_root: bool = False
    groups: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ItemResult:
    """How an item ended.  ``message``: why it is bad or was skipped.

    If a bad one is ``explained``, its bad ``subtests`` are the whole reason: they count, not it.
    """

    outcome: Outcome
    message: str = ""
    output: str = ""
    subtests: tuple[KtapTest, ...] = ()
    explained: bool = False


@dataclasses.dataclass(frozen=True)
class InterruptedItem:
    """How far an item got before its guest died.

    ``finished`` are the subtests that ended, ``current`` is the one that did not, and ``left`` are
    those that did not begin; each of them can be selected and run alone.
    """

    finished: tuple[KtapTest, ...]
    current: str
    left: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Sources:
    """A commit of a kernel tree, and the compiler to build its tests with."""

    repo: Path
    commit: str
    toolchain: Toolchain


@dataclasses.dataclass(frozen=True)
class Adaptor:
    """What the harness has to know about a kind of tests.

    In the guest: ``collect(what, place)`` yields the items and ``run(entry)`` runs one; ``place``
    is the folder that ``build`` returned, or else the one that relative paths start from.

    On the host: ``check(suite, folder)`` raises UsageError, before anything is built, for a suite
    that cannot be run.  ``options(whats, sources)`` are Kconfig options that the tests need, and
    ``build(whats, sources, progress)`` builds the tests: it returns the folder of each.
    ``seconds(what, item, place)`` is the time that an item asks for, at native speed; 0: the usual.
    ``boot_arguments(item, subtest)`` are kernel arguments for the guests; both are empty unless a
    guest runs only these.
    ``interrupted(item, messages, vmlinux)`` says how far an item got from the last messages of its
    guest, which died; None if that is not known.
    ``disks`` are the sizes in MiB of the empty disks that its guests get if no --disk is given.
    ``from_tree``: kernel and tree determine the tests, so that a base's results can be used again.
    ``is_path``: what identifies a suite begins with a path.
    """

    collect: Callable[[str, Path], Iterable[Entry]]
    run: Callable[[Entry], ItemResult]
    check: Callable[[AdaptedSuite, Path], None] = lambda _suite, _folder: None
    options: Callable[[Sequence[str], Sources], tuple[Option, ...]] = lambda _whats, _sources: ()
    build: Callable[[Sequence[str], Sources, Progress], Mapping[str, Path]] = lambda *_: {}
    seconds: Callable[[str, str, Path], float] = lambda _what, _item, _place: 0.0
    boot_arguments: Callable[[str, str], tuple[str, ...]] = lambda _item, _subtest: ()
    interrupted: Callable[[str, str, Path | None], InterruptedItem | None] = lambda *_: None
    disks: tuple[int, ...] = ()
    from_tree: bool = False
    is_path: bool = False


def parse(word: str) -> AdaptedSuite | None:
    """Take a suite's or a test's name apart; None if it is pytest's."""
    kind, colon, rest = word.partition(":")
    if kind not in KINDS or not colon or rest.startswith(":"):
        return None
    what, _, rest = rest.partition("::")
    item, _, subtest = rest.partition("::")
    return AdaptedSuite(kind, what, item, subtest)


def adaptor(kind: str) -> Adaptor:
    """Return the adaptor of a kind.  Only this imports its module: guests import what they use."""
    found: Adaptor = importlib.import_module(f"{__name__}.{kind}").ADAPTOR
    return found


def named(words: Iterable[str]) -> dict[str, list[str]]:
    """Return what these suites are, by kind, each once; pytest's own are left out."""
    found: dict[str, list[str]] = {}
    for suite in filter(None, map(parse, words)):
        whats = found.setdefault(suite.kind, [])
        if suite.what not in whats:
            whats.append(suite.what)
    return found


def check(words: Iterable[str], folder: Path) -> None:
    """Raise UsageError for the first of these suites that cannot be run."""
    for suite in filter(None, map(parse, words)):
        if not suite.what:
            raise UsageError(f"{suite.kind}: which tests?", hint=f"--{suite.kind} NAME")
        adaptor(suite.kind).check(suite, folder)


def from_tree(words: Iterable[str]) -> bool:
    """Whether kernel and tree determine all tests of these suites but pytest's own."""
    return all(adaptor(kind).from_tree for kind in named(words))


def absolute(word: str) -> str:
    """Return a suite's name that is valid in any folder, if it has a path that exists here."""
    suite = parse(word)
    if suite and adaptor(suite.kind).is_path:
        first = suite.what.partition(" ")[0]
        if "/" in first and Path(first).exists():
            return word.replace(first, f"{Path(first).absolute()}", 1)
    return word


def places(folders: Iterable[str]) -> dict[str, Path]:
    """Read the values of --suite-folder: SUITE=DIR.  Raises UsageError."""
    found = {}
    for text in folders:
        name, equals, folder = text.rpartition("=")
        if not equals or not parse(name):
            raise UsageError(f"--suite-folder {text}", hint="--suite-folder KIND:WHAT=DIR")
        found[name] = Path(folder)
    return found
