# SPDX-License-Identifier: GPL-2.0-only
"""The two sources of a kernel: a release by its number, and the user's git tree."""

from __future__ import annotations

import dataclasses
import difflib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from harness import git, paths, serial
from harness.errors import HarnessError, HostFault, UsageError
from harness.model import Source
from harness.progress import Progress, Stage
from harness.serial import DamagedError
from harness.source import kernel_org, releases, unpack
from harness.source.releases import Offer, ReleaseRequest
from harness.source.unpack import UnpackedRelease


@dataclasses.dataclass(frozen=True)
class Provider:
    """A provider of releases; ``offers`` returns those that match, or raises HostFault."""

    name: str
    offers: Callable[[ReleaseRequest, Stage], list[Offer]]


def _debian_offers(request: ReleaseRequest, stage: Stage) -> list[Offer]:
    from harness.source import debian  # late, because python-debian takes 50 ms to import

    return debian.offers(request, stage)


# If both have a release, the first wins, because it has no distribution patches.
PROVIDERS = (
    Provider("kernel.org", kernel_org.offers),
    Provider("Debian", _debian_offers),
)


@dataclasses.dataclass(frozen=True)
class NewestRelease:
    """The folder of a release line's newest release, and when it was looked up."""

    name: str
    time: float


_DAY = 86400.0  # seconds until the newest release of a line is looked up again
_TRIES = 2  # offers of a provider to try, in case the newest is missing after all
_GROWTH = 5  # space needed, in tarball sizes: download, package, tarball and repository


def release(text: str, progress: Progress, *, refresh: bool = False) -> Source:
    """Return the sources of a release: "7.2" (the newest 7.2.x available) or "7.2.13".

    Cached releases need no network: an exact release never does, and the newest of a line does not
    if it was looked up within the last day, unless ``refresh`` is set.  Without a network, the
    newest cached release is used, with a message.  Raises UsageError if ``text`` is not a release
    number, HostFault with every provider's reason if nothing is available.
    """
    request = releases.parse(text)
    top = paths.cache("sources")
    if cached := _cached(top, request, refresh):
        return cached.source
    with paths.lock(top / "lock", "the kernel sources", progress):
        if cached := _cached(top, request, refresh):  # the run we waited for fetched it
            return cached.source
        for leftover in top.glob(".*"):  # from a killed run, because we hold the lock
            shutil.rmtree(leftover, ignore_errors=True)
        with progress.stage("source", f"Linux {request}") as stage, paths.writing(top):
            unpacked = _fetch_newest(top, request, progress, stage)
            stage.finish(f"Linux {unpacked.version}, {unpacked.origin}")
        return unpacked.source


def _cached(top: Path, request: ReleaseRequest, refresh: bool) -> UnpackedRelease | None:
    """Return the cached release to use, or None if providers must be queried for a newer one."""
    matching = [cached for cached in unpack.cached(top) if request.matches(cached.version)]
    if not matching or request.exact:
        return matching[0] if matching else None
    newest = _newest_releases(top).get(request.line)
    if refresh or newest is None or not 0 <= time.time() - newest.time < _DAY:
        return None
    return next((cached for cached in matching if cached.folder.name == newest.name), None)


def _newest_releases(top: Path) -> dict[str, NewestRelease]:
    try:
        return serial.read(top / "newest.json", dict[str, NewestRelease])
    except (OSError, DamagedError):
        return {}


def _fetch_newest(
    top: Path, request: ReleaseRequest, progress: Progress, stage: Stage
) -> UnpackedRelease:
    """Query all providers, and download the newest offer that works."""
    offers, reasons = _ask_providers(request, stage)
    for offer in offers:
        try:
            unpacked = _fetch(top, offer, stage)
        except HarnessError as error:
            reasons.append(f"{offer.origin}: {error.what}")
            progress.say(f"{error.what}; trying another source")
            continue
        if not request.exact:
            newest = NewestRelease(offer.name, time.time())
            serial.write(top / "newest.json", {**_newest_releases(top), request.line: newest})
        return unpacked
    for unpacked in unpack.cached(top):
        if request.matches(unpacked.version):
            progress.say(
                f"cannot download Linux {request}; using {unpacked.version} from the cache"
            )
            return unpacked
    raise HostFault(
        f"Linux {request} is not available",
        hint="check the network and the version number, or use a git tree with --tree",
        details="\n".join(reasons),
    )


def _ask_providers(request: ReleaseRequest, stage: Stage) -> tuple[list[Offer], list[str]]:
    """Return all offers, and why other providers have none.

    Offers are sorted newest first; offers of the same release are in the providers' order.
    """
    offers: list[Offer] = []
    reasons: list[str] = []
    for provider in PROVIDERS:
        try:
            matching = provider.offers(request, stage)
        except HarnessError as error:
            reasons.append(f"{provider.name}: {error.what}")
            continue
        if not matching:
            reasons.append(f"{provider.name}: has no {request}")
        offers += _newest_first(matching)[:_TRIES]
    return _newest_first(offers), reasons


def _newest_first(offers: list[Offer]) -> list[Offer]:
    return sorted(offers, key=lambda offer: releases.sort_key(offer.version), reverse=True)


def _fetch(top: Path, offer: Offer, stage: Stage) -> UnpackedRelease:
    place = top / offer.name
    for unpacked in unpack.cached(top):
        if unpacked.folder == place:
            return unpacked
    paths.need_space(top, offer.size * _GROWTH, f"Linux {offer.version}")
    folder = paths.cache("downloads", offer.name)
    stage.update(note=f"downloading {offer.origin}")
    tarball = offer.fetch(folder, stage)
    shutil.rmtree(place, ignore_errors=True)  # without a record it is not ours, or incomplete
    try:
        unpacked = unpack.unpack(tarball, place, offer.version, offer.origin, stage)
    except HarnessError:
        shutil.rmtree(folder, ignore_errors=True)  # it is damaged, or the disk is full
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return unpacked


def from_tree(path: Path, ref: str) -> Source:
    """Return the source at ``ref`` in the git tree at ``path``.

    The tree may be a clone, bare, shallow, or a linked worktree.  Raises UsageError if there is no
    git tree, no such ref (with a hint about similar names), or no kernel at that commit.
    """
    top = paths.expanded(path).absolute()
    _refuse_other_folders(top)
    commit = git.commit_of(top, ref)
    if not commit:
        refs = git.run(top, "for-each-ref", "--format=%(refname:short)", check=False).stdout.split()
        near = difflib.get_close_matches(ref, [*refs, "HEAD"], 3, 0.5)
        raise UsageError(
            f"{top} has no commit '{ref}'",
            hint=f"did you mean {' or '.join(near)}?"
            if near
            else f"run git -C {top} fetch, or see git -C {top} tag for available tags",
        )
    name = commit[:12] if commit.startswith(ref) else f"{ref} ({commit[:12]})"
    return Source(top, commit, name, f"{top}, Linux {_release_at(top, commit, ref)}")


def _refuse_other_folders(top: Path) -> None:
    if not top.is_dir():
        what = f"the folder {top} does not exist"
        raise UsageError(what, hint="pass the path of a git tree with --tree")
    # The user did not mean a repository further up.
    env = {"GIT_CEILING_DIRECTORIES": os.fspath(top.parent)}
    result = git.run(top, "rev-parse", "--git-dir", env=env, check=False)
    if result.ok:
        return
    outer = git.top_of(top)
    raise UsageError(
        f"{top} is not a git tree",
        hint=f"it belongs to the tree {outer}"
        if outer
        else "to use a release without a tree: --kernel 7.2",
        details=result.stderr.strip(),
    )


def _release_at(top: Path, commit: str, ref: str) -> str:
    """Return the release in the Makefile; for other files, only check that they exist.

    In a partial clone the Makefile's content may be missing; then the release is unknown.
    """
    required = ("Makefile", "Kbuild", "Kconfig")
    present = git.line(top, "ls-tree", "--name-only", commit, *required).split()
    missing = [name for name in sorted(required) if name not in present]
    if not missing:
        makefile = git.content(top, commit, "Makefile")
        if makefile is None:
            return "of unknown release"
        if release := releases.of_makefile(makefile):
            return release
    lacks = ", ".join(missing) or "VERSION in its Makefile"
    raise UsageError(
        f"{top} at '{ref}' is not a kernel tree: it has no {lacks}",
        hint="pass a clone of the kernel with --tree, or a release with --kernel",
    )
