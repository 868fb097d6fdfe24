# SPDX-License-Identifier: GPL-2.0-only
"""A release by number: unpacked already, or from whichever provider has it."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import HarnessError, HostFault
from harness.model import Source
from harness.progress import Progress, Stage
from harness.source import debian, kernel_org, unpack, version
from harness.source.offer import Offer, Provider

# Of two that have the same release the first wins: it has no patches of a distribution.
PROVIDERS = (
    Provider("kernel.org", kernel_org.offers),
    Provider("Debian", debian.offers),
)

_DAY = 86400.0  # seconds an answer to "which is the newest" stays good
_TRIES = 2  # how many of a provider's offers are tried, should the newest not be there after all
_GROWTH = 5  # a tarball's size to what download, package, tarball and repository take together


def release(text: str, progress: Progress, *, refresh: bool = False) -> Source:
    """Give the sources of a release: "7.2" (the newest 7.2.x to be had) or "7.2.13".

    What is in the cache is taken without the network: an exact release always, the newest of a
    line if it was looked for within a day and ``refresh`` is not set.  Without a network the
    newest one in the cache is taken, and that is said.  Raises UsageError for something that is
    no release number, HostFault with every provider's reason when there is nothing to be had.
    """
    wanted = version.parse(text)
    top = paths.cache("sources")
    if found := _at_hand(top, wanted, refresh):
        return found.source
    with paths.lock(top / "lock", "the kernel sources", progress):
        if found := _at_hand(top, wanted, refresh):  # the run we waited for brought it
            return found.source
        for left in top.glob(".*"):  # of a run that was killed: we hold the lock
            shutil.rmtree(left, ignore_errors=True)
        with progress.stage("source", f"Linux {wanted}") as stage, paths.writing(top):
            got = _get(top, wanted, progress, stage)
            stage.finish(f"Linux {got.version}, {got.origin}")
        return got.source


def _at_hand(top: Path, wanted: version.Wanted, refresh: bool) -> unpack.Unpacked | None:
    """Give what is unpacked, if nobody needs to be asked whether there is something newer."""
    fitting = [one for one in unpack.known(top) if wanted.matches(one.version)]
    if not fitting or wanted.exact:
        return fitting[0] if fitting else None
    answer = _answers(top).get(wanted.line, {})
    if refresh or not 0 <= time.time() - answer.get("time", 0) < _DAY:
        return None
    return next((one for one in fitting if one.folder.name == answer.get("name")), None)


def _answers(top: Path) -> dict[str, dict[str, Any]]:
    with contextlib.suppress(OSError, ValueError):
        said = json.loads((top / "newest.json").read_text())
        return said if isinstance(said, dict) else {}
    return {}


def _get(top: Path, wanted: version.Wanted, progress: Progress, stage: Stage) -> unpack.Unpacked:
    """Ask all providers, take the newest offer that can really be had."""
    offers, reasons = _ask(wanted, stage)
    for offer in offers:
        try:
            got = _take(top, offer, stage)
        except HarnessError as error:
            reasons.append(f"{offer.origin}: {error.what}")
            progress.say(f"{error.what}; trying elsewhere")
            continue
        fresh = {**_answers(top), wanted.line: {"name": offer.name, "time": time.time()}}
        if not wanted.exact:
            with paths.scratch(top / "newest.json") as scratch:
                (scratch / "new").write_text(json.dumps(fresh))
                (scratch / "new").replace(top / "newest.json")
        return got
    fallback = next((one for one in unpack.known(top) if wanted.matches(one.version)), None)
    if fallback:
        progress.say(f"nobody answers for Linux {wanted}: taking {fallback.version} from the cache")
        return fallback
    raise HostFault(
        f"Linux {wanted} is not to be had",
        hint="check the network and the number, or give a git tree with --tree",
        details="\n".join(reasons),
    )


def _ask(wanted: version.Wanted, stage: Stage) -> tuple[list[Offer], list[str]]:
    """Give all offers, newest first and at equal release in the providers' order."""
    offers: list[Offer] = []
    reasons: list[str] = []
    for provider in PROVIDERS:
        try:
            found = provider.offers(wanted, stage)
        except HarnessError as error:
            reasons.append(f"{provider.name}: {error.what}")
            continue
        if not found:
            reasons.append(f"{provider.name}: has no {wanted}")
        offers += sorted(found, key=lambda offer: version.key(offer.version), reverse=True)[:_TRIES]
    return sorted(offers, key=lambda offer: version.key(offer.version), reverse=True), reasons


def _take(top: Path, offer: Offer, stage: Stage) -> unpack.Unpacked:
    place = top / offer.name
    for one in unpack.known(top):
        if one.folder == place:
            return one
    paths.need_space(top, offer.size * _GROWTH, f"Linux {offer.version}")
    folder = paths.cache("downloads", offer.name)
    stage.update(note=f"downloading {offer.origin}")
    tarball = offer.fetch(folder, stage)
    shutil.rmtree(place, ignore_errors=True)  # without a record: not ours, or half removed
    try:
        got = unpack.unpack(tarball, place, offer.version, offer.origin, stage)
    except HarnessError:
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or in the way of a full disk
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return got
