# SPDX-License-Identifier: GPL-2.0-only
"""Keep a series as a folder of plain patches with a series.toml."""

from __future__ import annotations

import json
from pathlib import Path

from harness import paths
from harness.errors import UsageError
from harness.model import Series
from harness.series.about import NAME
from harness.series.load import slug
from harness.series.mail import normal, parse

_ELSEWHERE = "choose another folder with --name"


def keep(series: Series, folder: Path, link: str = "") -> Path:
    """Write ``series`` to ``folder``, which must not exist; gives the folder.

    Each patch is one file that ``git am`` takes: no transfer encoding, UTF-8, one part.  The
    folder appears when it is whole.  Raises UsageError when there is something already.
    """
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} is there already", hint="choose another name with --name SLUG")
    with paths.writing(folder, _ELSEWHERE), paths.scratch(folder) as scratch:
        fresh = scratch / "series"
        fresh.mkdir()
        covers = [(0, "cover-letter", series.cover)] if series.cover else []
        for number, name, path in [
            *covers,
            *((patch.number, slug(patch.subject), patch.path) for patch in series.patches),
        ]:
            mail = parse(path.read_bytes(), str(path))
            (fresh / f"{number:04}-{name}.patch").write_bytes(normal(mail))
        (fresh / NAME).write_text(_about(series, link))
        fresh.rename(folder)
    return folder


def _about(series: Series, link: str) -> str:
    """Write series.toml with what is known; a string of JSON is one of TOML as well."""
    values = {
        "title": series.title,
        "link": series.link or link,
        "kernel": series.kernel,
        "base": series.base,
        "kconfig": list(series.kconfig),
        "suites": list(series.suites),
        "subsystems": list(series.subsystems or _subsystems(series)),
    }
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=True)}" for key, value in values.items() if value
    ]
    head = "# SPDX-License-Identifier: GPL-2.0-only\n"
    return head + "# What the harness needs to know about this series.\n" + "\n".join(lines) + "\n"


def _subsystems(series: Series) -> list[str]:
    """Name the folders that the series changes."""
    files = [file for patch in series.patches for file in patch.files]
    return list(dict.fromkeys(str(Path(file).parent) for file in files if "/" in file))
