# SPDX-License-Identifier: GPL-2.0-only
"""What makes a thing the same thing in another run: this machine, a series, a kernel's image."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from platform import python_version

from harness import paths
from harness.history.facts import Host, SeriesFacts
from harness.model import Series
from harness.results.journal import Event, SessionStarted

_VERSION = re.compile(r"(?:^|[-_ .])v\d+(?=$|[-_ .])|\[[^]]*\]", re.IGNORECASE)


def host() -> Host:
    """Describe this machine; ``home`` is its state folder, where runs' folders are."""
    about = os.uname()
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        machine = ""
    words = f"{about.nodename} {machine} {paths.state()}"
    return Host(
        name=about.nodename,
        home=hashlib.sha256(words.encode(errors="surrogateescape")).hexdigest()[:16],
        system=f"{about.sysname} {about.release} {about.machine}, Python {python_version()}",
        cpus=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
    )


def series(given: Series) -> SeriesFacts:
    """Describe a revision of a series."""
    return SeriesFacts(
        lineage=lineage(given),
        name=given.name,
        title=given.title,
        version=given.version,
        digest=given.digest,
        link=given.link,
    )


def lineage(given: Series) -> str:
    """Name what all revisions of a series have in common: its title, without its version."""
    words = _VERSION.sub(" ", given.title or given.name)
    return " ".join(re.sub(r"\W+", " ", words).lower().split()) or given.name


def image(events: Iterable[Event]) -> Path | None:
    """Find the kernel's image in the command that a journal begins with."""
    for event in events:
        if isinstance(event, SessionStarted):
            words = event.command
            if "--kernel" in words[:-1]:
                return Path(words[words.index("--kernel") + 1])
    return None
