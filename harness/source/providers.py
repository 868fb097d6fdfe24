# SPDX-License-Identifier: GPL-2.0-only
"""A release by number: from the cache, or from whichever provider has it."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from harness import paths, serial
from harness.errors import HarnessError, HostFault
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
