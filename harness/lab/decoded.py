# SPDX-License-Identifier: GPL-2.0-only
"""Where in the sources a side's splats are: kept with them, and as text among the evidence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from harness.decode import Decoded, decode_run, render
from harness.errors import HarnessError
from harness.lab.kernels import Built
from harness.model import GuestRecord, SideResult, Splat, Test
from harness.progress import Progress
from harness.results import evidence
from harness.results.evidence import DecodedSplat


def side(result: SideResult, built: Built, folder: Path, progress: Progress) -> SideResult:
    """Give ``result`` with the place and the patches of each splat; write them to ``folder``.

    A splat that cannot be decoded stays as it is: a verdict does not hang on this.
    """
    owners: list[Test | GuestRecord] = [*result.tests, *result.guests]
    # A test's splat stands on its guest's console as well, with another line number.
    found = {_key(splat): splat for owner in owners for splat in owner.splats}
    if not found:
        return result
    try:
        decoded = decode_run(found.values(), built.kernel, built.checkout)
    except HarnessError as error:
        progress.say(f"splats are not decoded: {error.what}")
        return result
    about = dict(zip(found, decoded, strict=True))
    text = "\n".join(_text(owners, about))
    (folder / evidence.SPLATS_TEXT).write_text(text, encoding="utf-8")
    values = (DecodedSplat(title, frames, one) for (title, frames), one in about.items())
    evidence.write_decoded(folder, tuple(values))
    return dataclasses.replace(
        result,
        tests=tuple(_placed(test, about) for test in result.tests),
        guests=tuple(_placed(guest, about) for guest in result.guests),
    )


_Key = tuple[str, tuple[str, ...]]


def _key(splat: Splat) -> _Key:
    return splat.title, splat.frames


_Owner = TypeVar("_Owner", Test, GuestRecord)


def _placed(owner: _Owner, about: dict[_Key, Decoded]) -> _Owner:
    splats = tuple(
        dataclasses.replace(splat, place=_place(one), patches=one.patches)
        for splat in owner.splats
        for one in (about[_key(splat)],)
    )
    return dataclasses.replace(owner, splats=splats)


def _place(decoded: Decoded) -> str:
    """Give file:line of the function to blame, where the innermost inlined one is."""
    places = [place for frame in decoded.frames[decoded.guilty :][:1] for place in frame.places]
    return f"{places[0].file}:{places[0].line}" if places else ""


def _text(owners: list[Test | GuestRecord], about: dict[_Key, Decoded]) -> Iterator[str]:
    shown = set()
    for owner in owners:
        for splat in owner.splats:
            if _key(splat) in shown:
                continue
            shown.add(_key(splat))
            yield owner.id if isinstance(owner, Test) else f"{owner.name} (no test)"
            yield render(about[_key(splat)]) + "\n"
