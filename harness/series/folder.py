# SPDX-License-Identifier: GPL-2.0-only
"""A series saved as a folder: plain patches, and series.toml with data that mails lack."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import SeriesError, UsageError
from harness.model import Series
from harness.series.mail import parse, rewritten

NAME = "series.toml"


@dataclasses.dataclass(frozen=True)
class SeriesToml:
    """The keys of series.toml.

    ``kernel`` is the release, ``base`` the commit or tag, that the series applies to, once the
    series ``after`` (folders) are applied; ``kconfig`` and ``suites`` are names or paths;
    ``follow`` are options to be turned on with all that they depend on, or (X=n) to be left off.  A
    path that exists relative to series.toml becomes absolute; everything else is left as written
    and looked up in the project's folders.
    """

    title: str = ""
    link: str = ""
    kernel: str = ""
    base: str = ""
    after: tuple[str, ...] = ()
    kconfig: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    subsystems: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()


_KEYS = {field.name: field.default for field in dataclasses.fields(SeriesToml)}


def read_toml(folder: Path) -> SeriesToml:
    """Read ``folder``'s series.toml; return defaults if it does not exist.

    Raises SeriesError for broken TOML, an unknown key, or a value of the wrong type.
    """
    path = folder / NAME
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        return SeriesToml()
    except OSError as error:
        raise SeriesError(
            f"cannot read {path}: {error.strerror}", hint=f"check the permissions of {path}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SeriesError(f"{path} is not valid TOML: {error}", hint="fix that line") from error
    return SeriesToml(**{key: _value(path, key, value) for key, value in table.items()})


def _value(path: Path, key: str, value: object) -> Any:
    if key not in _KEYS:
        near = difflib.get_close_matches(key, _KEYS, 1)
        raise SeriesError(
            f"{path} has the unknown key '{key}'",
            hint=f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(_KEYS)}",
        )
    if _KEYS[key] == "":
        if isinstance(value, str):
            return value
        raise SeriesError(f"{path}: '{key}' is not a string", hint=f'write {key} = "..."')
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SeriesError(
            f"{path}: '{key}' is not a list of strings", hint=f'write {key} = ["..."]'
        )
    if key in ("subsystems", "follow"):
        return tuple(value)
    beside = [(path.parent / item).absolute() for item in value]
    return tuple(
        str(place) if item and place.exists() else item
        for item, place in zip(value, beside, strict=True)
    )


def keep(series: Series, folder: Path, link: str = "") -> Path:
    """Write ``series`` to ``folder``, which must not exist; return the folder.

    Each patch is a file that ``git am`` can read: no transfer encoding, UTF-8, one part.  The
    folder only appears when complete.  Raises UsageError if it already exists.
    """
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} already exists", hint="choose another name with --name SLUG")
    with (
        paths.writing(folder, "choose another folder with --name"),
        paths.scratch(folder) as scratch,
    ):
        draft = scratch / "series"
        draft.mkdir()
        files = [(0, "cover-letter", series.cover)] if series.cover else []
        files += [(patch.number, slug(patch.subject), patch.path) for patch in series.patches]
        for number, name, path in files:
            mail = parse(path.read_bytes(), str(path))
            (draft / f"{number:04}-{name}.patch").write_bytes(rewritten(mail))
        (draft / NAME).write_text(_toml(series, link))
        draft.rename(folder)
    return folder


def _toml(series: Series, link: str) -> str:
    """Return the text of series.toml; JSON strings and lists are valid TOML."""
    changed = [file for patch in series.patches for file in patch.files]
    folders = dict.fromkeys(str(Path(file).parent) for file in changed if "/" in file)
    values = {
        "title": series.title,
        "link": series.link or link,
        "kernel": series.kernel,
        "base": series.base,
        "after": [str(earlier.folder) for earlier in series.after],
        "kconfig": list(series.kconfig),
        "suites": list(series.suites),
        "subsystems": list(series.subsystems or folders),
        "follow": list(series.follow),
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value]
    head = "# SPDX-License-Identifier: GPL-2.0-only\n"
    return head + "# What the harness needs to know about this series.\n" + "\n".join(lines) + "\n"


def slug(text: str) -> str:
    """Turn a title into a folder name."""
    words = "".join(letter if letter.isalnum() and letter.isascii() else " " for letter in text)
    return "-".join(words.lower().split())[:60].strip("-") or "series"
