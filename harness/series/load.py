# SPDX-License-Identifier: GPL-2.0-only
"""From a path to a Series: find the mails, put them in order, see that none is missing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from harness import paths
from harness.errors import SeriesError, UsageError
from harness.model import Patch, Series
from harness.series import about
from harness.series.mail import Mail, parse

# The line that begins a mail in an mbox, as git mailsplit takes it: an address, a time, a year.
_FROM = re.compile(rb"^From \S+ .*\d\d:\d\d:\d\d.* \d{4}", re.MULTILINE)
_FORMAT = "git format-patch -o FOLDER BASE.. makes a folder of patches"


def load(path: Path) -> Series:
    """Read a series: a folder of ``*.patch`` files, one patch file, or an mbox.

    A folder may have a cover letter (``0000-...``) and a series.toml (see harness.series.about).
    Order is that of the numbers in [PATCH n/m], or of file names if no subject has a number.
    The digest covers the patches' bytes only.  Raises UsageError when there is nothing at
    ``path``, SeriesError when what is there is no series that git am could apply.
    """
    path = path.expanduser().absolute()
    if path.is_dir():
        mails = _folder(path)
        folder, name = path, path.name
    elif path.exists():
        mails = _file(path)
        folder, name = path.parent, path.stem
    else:
        raise UsageError(
            f"there is no series at {path}", hint="give a folder of patches, a patch or an mbox"
        )
    found = _in_order([item for item in mails if not item[1].is_cover], path)
    covers = [item for item in mails if item[1].is_cover]
    digest = hashlib.sha256(b"".join(mail.raw for _, mail in found)).hexdigest()
    said = about.read(folder) if path.is_dir() else about.About()
    patches, cover = _placed(path, found, covers, digest)
    texts = [mail for _, mail in [*covers, *found]]
    return Series(
        name=name,
        folder=folder,
        patches=patches,
        digest=digest,
        title=said.title or texts[0].subject,
        cover=cover,
        link=said.link,
        kernel=said.kernel,
        base=said.base or next((mail.base for mail in texts if mail.base), ""),
        kconfig=said.kconfig,
        suites=said.suites,
        subsystems=said.subsystems,
    )


Found = tuple[Path, Mail]


def _folder(path: Path) -> list[Found]:
    found: list[Found] = []
    for file in sorted(path.glob("*.patch")):
        raws = _mails(_bytes(file))
        if len(raws) > 1:
            raise SeriesError(
                f"{file} holds {len(raws)} mails",
                hint=f"in a folder every patch has its own file; give {file} itself as the series",
            )
        mail = parse(raws[0], str(file))
        cover = mail.number == 0 and (mail.total or file.name.startswith("0000"))
        if not mail.files and not cover:
            raise _no_diff(mail)
        found.append((file, mail))
    if all(mail.is_cover for _, mail in found):
        raise SeriesError(f"there is no patch (*.patch) in {path}", hint=_FORMAT)
    return found


def _file(path: Path) -> list[Found]:
    raws = _mails(_bytes(path))
    many = len(raws) > 1
    found: list[Found] = []
    for number, raw in enumerate(raws, 1):
        mail = parse(raw, f"mail {number} of {path}" if many else str(path))
        if not mail.files and not (many and mail.total and mail.number == 0):
            raise _no_diff(mail)
        found.append((path, mail))
    if all(mail.is_cover for _, mail in found):
        raise _no_diff(found[0][1])
    return found


def _no_diff(mail: Mail) -> SeriesError:
    return SeriesError(
        f"{mail.where} has no diff in it ('{mail.subject}')",
        hint="leave out replies and other mails without a patch",
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SeriesError(
            f"cannot read {path}: {error.strerror}", hint=f"check the permissions of {path}"
        ) from error


def _mails(raw: bytes) -> list[bytes]:
    """Split an mbox into its mails, byte for byte; anything else is one mail."""
    starts = [match.start() for match in _FROM.finditer(raw)]
    if not starts or raw[: starts[0]].strip():
        return [raw]
    return [raw[begin:end] for begin, end in zip(starts, [*starts[1:], len(raw)], strict=True)]


def _in_order(found: list[Found], path: Path) -> list[Found]:
    """Order by [PATCH n/m]; every number from 1 to m must be there once, if any is."""
    if not any(mail.total for _, mail in found) or len(found) == 1:
        return found
    without = [mail.where for _, mail in found if not mail.total]
    if without:
        raise SeriesError(
            f"in {path} some subjects have a number [PATCH n/m] and some have none",
            hint=f"number all or none: {_FORMAT}",
            details="without a number:\n" + "\n".join(without),
        )
    totals = sorted({mail.total for _, mail in found})
    if len(totals) > 1:
        raise SeriesError(
            f"the patches in {path} are of different series: m in [PATCH n/m] is"
            f" {' and '.join(map(str, totals))}",
            hint=f"keep those of one series; {_FORMAT}",
        )
    _each_once(found, path, totals[0])
    return sorted(found, key=lambda item: item[1].number)


def _each_once(found: Sequence[Found], path: Path, total: int) -> None:
    numbers = [mail.number for _, mail in found]
    twice = [mail for _, mail in found if numbers.count(mail.number) > 1]
    if twice:
        raise SeriesError(
            f"patch {twice[0].number}/{total} is there twice in {path}",
            hint="keep one of them",
            details="\n".join(f"{mail.number}/{total} {mail.where}" for mail in twice),
        )
    missing = sorted(set(range(1, total + 1)) - set(numbers))
    if missing:
        words = ", ".join(map(str, missing))
        raise SeriesError(
            f"of {total} patches in {path} {'number' if len(missing) == 1 else 'numbers'} {words}"
            f" {'is' if len(missing) == 1 else 'are'} missing",
            hint="fetch the missing mails, or make the series again with git format-patch",
        )


def _placed(
    path: Path, found: list[Found], covers: list[Found], digest: str
) -> tuple[tuple[Patch, ...], Path | None]:
    """See that every mail has a file of its own: those of an mbox get one in the cache."""
    cover = covers[0][0] if covers else None
    if not path.is_dir() and len(found) + len(covers) > 1:
        folder = paths.cache("series", digest[:20])
        found = [
            (_write(folder / f"{number:04}.patch", mail.raw), mail)
            for number, (_, mail) in enumerate(found, 1)
        ]
        cover = _write(folder / "0000.patch", covers[0][1].raw) if covers else None
    patches = tuple(
        Patch(number, mail.subject, mail.author, file, mail.files)
        for number, (file, mail) in enumerate(found, 1)
    )
    return patches, cover


def _write(path: Path, raw: bytes) -> Path:
    if not path.exists() or path.read_bytes() != raw:
        with paths.writing(path), paths.scratch(path) as scratch:
            (scratch / "mail").write_bytes(raw)
            (scratch / "mail").replace(path)
    return path
