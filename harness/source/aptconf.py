# SPDX-License-Identifier: GPL-2.0-only
"""The machine's own apt sources, in both of their formats."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from harness import process

# Options that say whom to trust, not what to fetch.
_KEPT = ("signed-by", "trusted", "check-valid-until", "check-date", "allow-insecure")
_ONE_LINE = re.compile(r"deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)")


@dataclasses.dataclass(frozen=True)
class Repository:
    """A configured repository; ``options`` are deb822 fields (Signed-By may hold a whole key)."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()


def configured() -> list[Repository]:
    """Read every source that is switched on.  Raises HostFault when apt is not there."""
    words = ("LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d")
    said = process.run(("apt-config", "shell", *words)).stdout
    names = dict(word.split("=", 1) for word in shlex.split(said))
    parts = Path(names.get("PARTS") or "/etc/apt/sources.list.d")
    files = [Path(names.get("LIST") or "/etc/apt/sources.list"), *sorted(parts.glob("*"))]
    found: list[Repository] = []
    for file in files:
        if file.suffix not in (".list", ".sources") or not file.is_file():
            continue
        text = file.read_text(errors="replace")
        found += deb822(text) if file.suffix == ".sources" else one_line(text)
    return found


def one_line(text: str) -> list[Repository]:
    """Read the format of sources.list: deb [option=value ...] URI suite component..."""
    found = []
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if not match:
            continue
        pairs = (word.partition("=") for word in (match[1] or "").split())
        options = tuple((name.title(), value) for name, _, value in pairs if name.lower() in _KEPT)
        found.append(Repository(match[2], (match[3],), tuple(match[4].split()), options))
    return found


def deb822(text: str) -> list[Repository]:
    """Read the format of *.sources: stanzas of fields; several URIs give several repositories."""
    found = []
    for fields in _stanzas(text):
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0", "off", "without"):
            continue
        options = tuple((name.title(), fields[name]) for name in _KEPT if name in fields)
        suites = tuple(fields.get("suites", "").split())
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            found.append(Repository(uri, suites, components, options))
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Give each stanza's fields, names in lower case; what goes on on further lines is kept so."""
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            if name:
                fields[name] += "\n" + line
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def stanza(repository: Repository, suites: tuple[str, ...]) -> str:
    """Write a deb822 stanza that reads ``suites``, main only, from the repository."""
    lines = [
        "Types: deb",
        f"URIs: {repository.uri}",
        f"Suites: {' '.join(suites)}",
        "Components: main",
        *(f"{name}: {value}" for name, value in repository.options),
    ]
    return "\n".join(lines) + "\n"
