# SPDX-License-Identifier: GPL-2.0-only
"""The two ways to sources: a release by number, and the user's own git tree."""

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
    """A place to ask.  ``offers`` returns what matches, or raises HostFault with the reason."""

    name: str
    offers: Callable[[ReleaseRequest, Stage], list[Offer]]


def _debian_offers(request: ReleaseRequest, stage: Stage) -> list[Offer]:
    from harness.source import debian  # python-debian: 50 ms that most commands do not need

    return debian.offers(request, stage)


# If both have a release, the first wins: it has no patches of a distribution.
PROVIDERS = (
    Provider("kernel.org", kernel_org.offers),
    Provider("Debian", _debian_offers),
)


@dataclasses.dataclass(frozen=True)
class NewestRelease:
    """Which folder had the newest release of a line, and when that was asked."""

    name: str
    time: float


_DAY = 86400.0  # seconds for which the newest release of a line is not asked again
_TRIES = 2  # of a provider's offers, should the newest not be there after all
_GROWTH = 5  # times a tarball's size: download, package, tarball and repository together


def release(text: str, progress: Progress, *, refresh: bool = False) -> Source:
    """The sources of a release: "7.2" (the newest 7.2.x available) or "7.2.13".

    What is in the cache is taken without the network: an exact release always, the newest of a
    line if it was looked up within a day and ``refresh`` is not set.  Without a network the
    newest one in the cache is taken, with a message.  Raises UsageError for something that is
    not a release number, HostFault with every provider's reason when nothing is available.
    """
    request = releases.parse(text)
    top = paths.cache("sources")
    if cached := _cached(top, request, refresh):
        return cached.source
    with paths.lock(top / "lock", "the kernel sources", progress):
        if cached := _cached(top, request, refresh):  # the run we waited for fetched it
            return cached.source
        for leftover in top.glob(".*"):  # of a killed run: we hold the lock
            shutil.rmtree(leftover, ignore_errors=True)
        with progress.stage("source", f"Linux {request}") as stage, paths.writing(top):
            unpacked = _fetch_newest(top, request, progress, stage)
            stage.finish(f"Linux {unpacked.version}, {unpacked.origin}")
        return unpacked.source


def _cached(top: Path, request: ReleaseRequest, refresh: bool) -> UnpackedRelease | None:
    """What is unpacked already, if nobody needs to be asked for something newer."""
    matching = [found for found in unpack.cached(top) if request.matches(found.version)]
    if not matching or request.exact:
        return matching[0] if matching else None
    newest = _newest_releases(top).get(request.line)
    if refresh or newest is None or not 0 <= time.time() - newest.time < _DAY:
        return None
    return next((found for found in matching if found.folder.name == newest.name), None)


def _newest_releases(top: Path) -> dict[str, NewestRelease]:
    try:
        return serial.read(top / "newest.json", dict[str, NewestRelease])
    except (OSError, DamagedError):
        return {}


def _fetch_newest(
    top: Path, request: ReleaseRequest, progress: Progress, stage: Stage
) -> UnpackedRelease:
    """Ask all providers, take the newest offer that can really be downloaded."""
    offers, reasons = _ask_providers(request, stage)
    for offer in offers:
        try:
            unpacked = _fetch(top, offer, stage)
        except HarnessError as error:
            reasons.append(f"{offer.origin}: {error.what}")
            progress.say(f"{error.what}; trying elsewhere")
            continue
        if not request.exact:
            newest = NewestRelease(offer.name, time.time())
            serial.write(top / "newest.json", {**_newest_releases(top), request.line: newest})
        return unpacked
    for unpacked in unpack.cached(top):
        if request.matches(unpacked.version):
            progress.say(f"no answer for Linux {request}: using {unpacked.version} from the cache")
            return unpacked
    raise HostFault(
        f"Linux {request} is not available",
        hint="check the network and the number, or give a git tree with --tree",
        details="\n".join(reasons),
    )


def _ask_providers(request: ReleaseRequest, stage: Stage) -> tuple[list[Offer], list[str]]:
    """All offers, newest first and for one release in the providers' order; and why others have
    none."""
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
    shutil.rmtree(place, ignore_errors=True)  # without a record: not ours, or half removed
    try:
        unpacked = unpack.unpack(tarball, place, offer.version, offer.origin, stage)
    except HarnessError:
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or in the way of a full disk
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return unpacked


def from_tree(path: Path, ref: str) -> Source:
    """The commit that ``ref`` names in the git tree at ``path``.

    The tree may be a clone, bare, shallow, or a linked worktree.  Raises UsageError when there is
    no git tree, no such ref (with those of similar name), or no kernel at that commit.
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
            else f"git -C {top} fetch, or look at git -C {top} tag",
        )
    name = commit[:12] if commit.startswith(ref) else f"{ref} ({commit[:12]})"
    return Source(top, commit, name, f"{top}, Linux {_release_at(top, commit, ref)}")


def _refuse_other_folders(top: Path) -> None:
    if not top.is_dir():
        raise UsageError(f"there is no folder {top}", hint="give the path of a git tree to --tree")
    # A folder inside some other repository is not what was meant: do not look further up.
    env = {"GIT_CEILING_DIRECTORIES": os.fspath(top.parent)}
    result = git.run(top, "rev-parse", "--git-dir", env=env, check=False)
    if result.ok:
        return
    outer = git.top_of(top)
    raise UsageError(
        f"{top} is not a git tree",
        hint=f"the tree it belongs to is {outer}"
        if outer
        else "a release by number needs no tree: --kernel 7.2",
        details=result.stderr.strip(),
    )


def _release_at(top: Path, commit: str, ref: str) -> str:
    """The release that the Makefile names; other files are looked up in the tree object alone.

    In a partial clone the Makefile's content may be missing: then the number is not known.
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
        hint="give a clone of the kernel to --tree, or a release to --kernel",
    )
