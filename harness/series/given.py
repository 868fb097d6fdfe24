# SPDX-License-Identifier: GPL-2.0-only
"""What a person named: files and folders, a pipe, commits of a tree, or a link."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import paths
from harness.errors import SeriesError, UsageError
from harness.series import box, commits, lore, quilt, spool
from harness.series.box import Entry
from harness.series.mail import parse

FORMAT = "git format-patch -o FOLDER BASE.. makes a folder of patches"
_NAMES = ("*.patch", "*.eml", "[0-9]*")  # the last: format-patch --numbered-files, other suffixes
_KINDS = "a folder of patches, files, an mbox, a maildir, -, A..B with --tree, a message id, a link"


@dataclasses.dataclass(frozen=True)
class Given:
    """The mails that lie where the person said.

    ``strict``: every one of them is meant, as in a folder; elsewhere the series is chosen among
    them.  ``ordered``: their order is given.  ``single``: one mail in a file of its own.
    ``folder`` holds the series and perhaps a series.toml; ``base`` is a commit it is made on.
    ``repo`` is the git tree whose commits these are.
    """

    where: str
    name: str
    entries: tuple[Entry, ...]
    folder: Path | None = None
    strict: bool = False
    ordered: bool = False
    single: bool = False
    base: str = ""
    notes: tuple[str, ...] = ()
    repo: Path | None = None


def find(words: Sequence[str | Path], tree: Path | None = None, base: str = "") -> Given:
    """Find the mails that ``words`` mean; UsageError when they mean nothing."""
    if len(words) > 1:
        return _files([_existing(str(word)) for word in words])
    word = words[0] if words else ""
    text = str(word)
    path = paths.expanded(word).absolute()
    if text == "-":
        return _pipe()
    if text and _there(path):
        return _folder(path) if path.is_dir() else _file(path)
    if not isinstance(word, Path) and lore.is_link(text):
        got = lore.fetch(text)
        found = dataclasses.replace(_file(got.path, text), name="", notes=got.notes)
        return dataclasses.replace(found, strict=found.strict or got.chosen)
    made = commits.mails(text, tree, base) if not isinstance(word, Path) else None
    if made is not None:
        found = dataclasses.replace(_folder(made.path), where=text, name=made.name)
        return dataclasses.replace(found, base=made.base, notes=made.notes, repo=made.repo)
    raise UsageError(f"there is no series at {path}", hint=f"give {_KINDS}")


def no_patch(where: str) -> SeriesError:
    """Make the error for a folder without a patch."""
    return SeriesError(f"there is no patch (*.patch) in {where}", hint=FORMAT)


def _existing(word: str) -> Path:
    path = paths.expanded(word).absolute()
    if _there(path) and not path.is_dir():
        return _regular(path)
    raise UsageError(
        f"of several words each is a patch, and {word} is no file",
        hint="give the patches of one series, or one folder or mbox",
    )


def _regular(path: Path) -> Path:
    """Give a file that can be read more than once, of a pipe, too, as <(...) of a shell is one."""
    if path.is_file():
        return path
    with box.opened(path) as stream:
        return spool.keep(stream, str(path))


def _there(path: Path) -> bool:
    """Whether there is something; what cannot be a name is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _file(path: Path, where: str = "") -> Given:
    where = where or str(path)
    entries = tuple(box.entries(spool.unpacked(_regular(path)), where))
    single = len(entries) == 1
    strict = single and (not entries[0].subject.reply or _cut_out(entries[0]))
    return Given(where, path.stem, entries, single=single, strict=strict)


def _cut_out(entry: Entry) -> bool:
    """Whether a reply has a patch below a scissors line."""
    with contextlib.suppress(SeriesError):
        mail = parse(entry.raw(), entry.where)
        return bool(mail.files) and not mail.reply
    return False


def _files(files: Sequence[Path]) -> Given:
    """Take several files as the patches of one series."""
    entries = tuple(entry for file in files for entry in _one(file))
    return Given(" ".join(map(str, files)), "", entries, strict=True)


def _one(file: Path) -> Iterator[Entry]:
    found = box.entries(file)
    if len(found) > 1:
        raise SeriesError(
            f"{file} holds {len(found)} mails",
            hint=f"in a folder every patch has its own file; give {file} itself as the series",
        )
    yield from found


def _folder(path: Path) -> Given:
    where, name = str(path), path.name
    if (path / "cur").is_dir() and (path / "new").is_dir():
        found = (file for part in ("cur", "new") for file in (path / part).iterdir())
        files = sorted(file for file in found if file.is_file() and file.name[0] != ".")
        mails = tuple(entry for file in files for entry in box.entries(file))
        return Given(where, name, mails)
    if (path / "series").is_file():
        files = quilt.files(path)
        return Given(where, name, tuple(e for f in files for e in _one(f)), path, True, True)
    files = next((f for kind in _NAMES if (f := sorted(path.glob(kind), key=_natural))), [])
    if not files:
        raise no_patch(where)
    return Given(where, name, tuple(e for f in files for e in _one(f)), path, strict=True)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order 2-x before 10-x."""
    return [(int(n or 0), text) for n, text in re.findall(r"(\d{1,18})|(\D+)", path.name)]


def _pipe() -> Given:
    """Keep what comes through standard input as a file, and take that."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("nothing comes through standard input", hint="cat my.mbox | harness ... -")
    kept = spool.keep(sys.stdin.buffer, "standard input")
    return dataclasses.replace(_file(kept, "standard input"), name="")
