# SPDX-License-Identifier: GPL-2.0-only
"""What suites that are not pytest's need of the tree under test: Kconfig options, built tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness import adaptors
from harness.adaptors import Sources
from harness.model import Checkout, Option, Plan, Request, Toolchain
from harness.progress import Progress


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


def with_options(request: Request, plan: Plan, sources: Sources) -> Request:
    """Add the options that the plan's suites need to a request; those in the request stay."""
    named = adaptors.named(plan.suites).items()
    return with_more(
        request,
        [o for kind, whats in named for o in adaptors.adaptor(kind).options(whats, sources)],
    )


def with_more(request: Request, options: Iterable[Option]) -> Request:
    """Add options to a request; those in the request stay."""
    requested = {option.name for option in request.options}
    added = {option.name: option for option in options if option.name not in requested}
    return Request((*request.options, *added.values()))
