# SPDX-License-Identifier: GPL-2.0-only
"""The order of patches, and which of them are missing or there twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from harness.errors import SeriesError
from harness.series.given import FORMAT, Given
from harness.series.mail import Mail

Found = tuple[Path, Mail]


@dataclasses.dataclass(frozen=True)
class Parts:
    """The patches in order, each number once; ``twice`` are those of a number that differ."""

    mails: tuple[Found, ...]
    total: int
    missing: tuple[int, ...] = ()
    duplicates: tuple[int, ...] = ()
    twice: tuple[Mail, ...] = ()


def sort(found: Sequence[Found], what: Given) -> Parts:
    """Order by [PATCH n/m], or as they lie if no subject has a number.

    Raises SeriesError when only some have one, or when they are of several series.
    """
    if what.ordered or not any(mail.total for _, mail in found):
        return Parts(tuple(found), len(found))
    without = [mail.where for _, mail in found if not mail.total]
    if without:
        raise SeriesError(
            f"in {what.where} some subjects have a number [PATCH n/m] and some have none",
            hint=f"number all or none: {FORMAT}",
            details="without a number:\n" + "\n".join(without),
        )
    _one_series([mail for _, mail in found], what)
    total = found[0][1].total
    once: dict[int, Found] = {}
    again: dict[int, list[Found]] = {}
    for item in found:
        first = once.setdefault(item[1].number, item)
        if first is not item:
            again.setdefault(item[1].number, [first]).append(item)
    differ = [
        mail
        for items in again.values()
        for _, mail in items
        if len({(mail.subject, mail.patch) for _, mail in items}) > 1
    ]
    return Parts(
        tuple(once[number] for number in sorted(once)),
        total,
        tuple(sorted(set(range(1, total + 1)) - set(once))),
        tuple(sorted(again)),
        tuple(differ),
    )


def _one_series(mails: Sequence[Mail], what: Given) -> None:
    versions = sorted({mail.version for mail in mails})
    if what.strict and len(versions) > 1:  # elsewhere that was decided by threads
        words = " and ".join(f"v{number}" for number in versions)
        raise SeriesError(
            f"revisions are mixed in {what.where}: {words}",
            hint="keep the patches of one revision",
            details="\n".join(f"v{mail.version} {mail.number}/{mail.total} {mail.where}"
                              for mail in mails),
        )  # fmt: skip
    totals = sorted({mail.total for mail in mails})
    if len(totals) > 1:
        raise SeriesError(
            f"the patches in {what.where} are of different series: m in [PATCH n/m] is"
            f" {' and '.join(map(str, totals))}",
            hint=f"keep those of one series; {FORMAT}",
        )


def fault(parts: Parts, what: Given) -> SeriesError | None:
    """Make the error for a series that lacks a patch, or has two with one number.

    One patch alone, in a file of its own, is what somebody asks for who names it.
    """
    if parts.twice:
        first = parts.twice[0]
        return SeriesError(
            f"patch {first.number}/{first.total} is there twice in {what.where}",
            hint="keep one of them",
            details="\n".join(f"{mail.number}/{mail.total} {mail.where}" for mail in parts.twice),
        )
    if parts.missing and not (len(parts.mails) == 1 and what.single):
        words = ", ".join(map(str, parts.missing))
        several = len(parts.missing) > 1
        return SeriesError(
            f"of {parts.total} patches in {what.where} {'numbers' if several else 'number'} {words}"
            f" {'are' if several else 'is'} missing",
            hint="fetch the missing mails, or make the series again with git format-patch",
        )
    return None


def notes(parts: Parts, what: Given) -> list[str]:
    """Say what people should know of a series that is taken as it is."""
    said = []
    if parts.duplicates and not parts.twice:
        words = ", ".join(map(str, parts.duplicates))
        said.append(f"patch {words} is there twice, both times the same: one is taken")
    if parts.missing and len(parts.mails) == 1 and what.single:
        mail = parts.mails[0][1]
        said.append(f"this is patch {mail.number} of {mail.total} alone")
    return said
