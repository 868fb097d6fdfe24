# SPDX-License-Identifier: GPL-2.0-only
"""The suites of the tree under test: what they need of it, and which of them fit a series.

MAINTAINERS names the self-tests of a subsystem, and KUnit's suites lie beside the code they test.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

from harness import adaptors, git
from harness.adaptors import Sources, kselftest_build, kunit_sources
from harness.errors import HarnessError
from harness.model import Checkout, Option, Plan, Request, Series, Toolchain
from harness.progress import Progress

_SELFTESTS = "tools/testing/selftests/"
# The tree does not build these by default either: they need a compiler of their own.
_HARD = {"bpf", "sched_ext"}
_TEST_FOLDERS = ("", "tests", "test", "kunit")  # where KUnit's suites of a folder lie
_FEW = 6  # suites of a folder that are all suggested


def build(
    plan: Plan, checkout: Checkout, toolchain: Toolchain, progress: Progress
) -> dict[str, Path]:
    """Build the tests of the plan's suites from a commit, unless they are in the cache.

    Returns the folders of those that had to be built, by the suite's name.  Raises UsageError for
    tests that the tree does not have, HostFault if something to build them with is not installed.
    """
    sources = Sources(checkout.path, checkout.commit, toolchain)
    folders = {}
    for kind, whats in adaptors.named(plan.suites).items():
        for what, folder in adaptors.adaptor(kind).build(whats, sources, progress).items():
            folders[f"{kind}:{what}"] = folder
    return folders


def with_options(request: Request, words: Iterable[str], sources: Sources) -> Request:
    """Add the options that these suites or tests need to a request; those in the request stay."""
    named = adaptors.named(words).items()
    return with_more(
        request,
        [o for kind, whats in named for o in adaptors.adaptor(kind).options(whats, sources)],
    )


def with_more(request: Request, options: Iterable[Option]) -> Request:
    """Add options to a request; those in the request stay."""
    requested = {option.name for option in request.options}
    added = {option.name: option for option in options if option.name not in requested}
    return Request((*request.options, *added.values()))


@dataclasses.dataclass(frozen=True)
class SuggestedSuite:
    """A suite that fits a series, why, and the Kconfig options that it needs."""

    name: str
    reason: str
    options: tuple[Option, ...] = ()


def for_plan(plan: Plan, sources: Sources, progress: Progress) -> tuple[SuggestedSuite, ...]:
    """Return the suites for a plan whose series has none, and whose command line names none."""
    series, typed = plan.series, plan.typed or plan
    if series is None or series.suites or typed.suites or plan.no_suggest:
        return ()
    return suggested(series, sources, progress)


def suggested(series: Series, sources: Sources, progress: Progress) -> tuple[SuggestedSuite, ...]:
    """Return the suites for a series, and say what they are; those that cannot be built are left.

    ``sources`` is the commit that the series is for.
    """
    files = tuple(dict.fromkeys(file for patch in series.patches for file in patch.files))
    found = []
    for suite in (*_kunit(files, sources), *_selftests(files, sources)):
        if fault := _unbuildable(suite, sources, progress):
            progress.say(f"not suggested: {suite.name}: {fault}")
            continue
        progress.say(f"suggested: --suite {suite.name}: {suite.reason}")
        found.append(suite)
    return tuple(found)


def _unbuildable(suite: SuggestedSuite, sources: Sources, progress: Progress) -> str:
    """Return why the tests of a suite cannot be built, after an attempt; empty if they can."""
    try:
        adaptors.check([suite.name], sources.repo)
        for kind, whats in adaptors.named([suite.name]).items():
            adaptors.adaptor(kind).build(whats, sources, progress)
    except HarnessError as error:
        return error.what
    return ""


def _kunit(files: Sequence[str], sources: Sources) -> Iterator[SuggestedSuite]:
    """Yield KUnit's suites beside the files; if they are many, only those named like a file."""
    code = [PurePath(file) for file in files if file.endswith((".c", ".h"))]
    folders = sorted({str(file.parent) for file in code if file.parts[0] != "include"})
    for folder in folders:
        places = [f"{folder}/{more}".rstrip("/") for more in _TEST_FOLDERS]
        stems = {re.sub(r"\W|_", "", file.stem) for file in code if str(file.parent) == folder}
        suites = [suite for suite in kunit_sources.suites(sources, places) if suite.option]
        for suite in suites:
            name = re.sub(r"\W|_", "", PurePath(suite.file).stem)
            if len(suites) <= _FEW or any(stem in name for stem in stems):
                options = kunit_sources.options_of([suite])
                reason = f"it tests {folder}, which the series changes"
                # Nobody asked for them: a kernel that cannot have one is built without it.
                optional = tuple(dataclasses.replace(o, optional=True) for o in options)
                yield SuggestedSuite(f"kunit:{suite.name}", reason, optional)


def _selftests(files: Sequence[str], sources: Sources) -> Iterator[SuggestedSuite]:
    """Yield the self-tests of the subsystems that the files belong to."""
    text = git.content(sources.repo, sources.commit, "MAINTAINERS") or ""
    chosen: dict[str, str] = {}
    for title, patterns in sections(text):
        if not any(matches(pattern, file) for pattern in patterns for file in files):
            continue
        for pattern in patterns:
            name = pattern.removeprefix(_SELFTESTS).rstrip("/*")
            if pattern.startswith(_SELFTESTS) and name and name not in _HARD:
                chosen.setdefault(name, title)
    folders = set(kselftest_build.test_folders(sources))
    for name, title in chosen.items():
        # A pattern may name a file, or a folder inside that of the tests.
        paths = (PurePath(name), *PurePath(name).parents)
        known = [str(path) for path in paths if str(path) in folders]
        if known:
            yield SuggestedSuite(f"kselftest:{known[0]}", f"{title} in MAINTAINERS")


def sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (title, file patterns) of each subsystem in MAINTAINERS that has self-tests."""
    for block in re.split(r"\n\s*\n", text):
        if _SELFTESTS not in block:
            continue
        lines = block.splitlines()
        patterns = [line[2:].strip() for line in lines if line.startswith("F:")]
        titles = [line for line in lines if not re.match(r"[A-Z]:", line)]
        if titles:
            yield titles[-1].strip(), patterns


def matches(pattern: str, file: str) -> bool:
    """Whether a pattern of MAINTAINERS covers a file: a folder's ends with /, * stops at one."""
    if pattern.endswith("/"):
        return file.startswith(pattern) or fnmatch.fnmatchcase(file, f"{pattern}*")
    if pattern.count("/") != file.count("/"):
        return False
    return fnmatch.fnmatchcase(file, pattern)
