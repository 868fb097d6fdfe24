# SPDX-License-Identifier: GPL-2.0-only
"""Which added options keep a base from being built."""

from __future__ import annotations

import pytest

from harness.lab import follow
from harness.model import Followed, Option

DRIVER, OTHER, HEADER = "drivers/net/ti/icssm/prueth.c", "fs/afs/super.c", "include/net/dsa.h"
ADDED = (
    ("NET_VENDOR_TI", f"builds {DRIVER}"),
    ("AFS_FS", f"builds {OTHER}"),
    ("NET_DSA", f"builds {HEADER} through a file that includes it"),
    ("AFS_DEBUG", f"compiles {OTHER}:71"),
)
FOUND = Followed(tuple(Option(name, "y", "the series", why) for name, why in ADDED))
LINKER = """ld: drivers/net/ti/icssm/prueth.o: in function `emac_ndo_stop':
drivers/net/ti/icssm/prueth.c:1071: undefined reference to `phy_stop'
"""


@pytest.mark.parametrize(
    ("messages", "files"),
    [
        (LINKER, [DRIVER]),
        ("fs/afs/super.c:9:19: error: 'unknown' undeclared", [OTHER]),
        ("fs/afs/dir.c:9:19: error: 'unknown' undeclared", [OTHER]),
        ("init/main.c:13:19: error: 'unknown' undeclared", []),  # the base's own fault
        ("ld: vmlinux.o: in function `f':", [DRIVER, OTHER, HEADER]),
    ],
)
def test_what_the_messages_name(messages: str, files: list[str]) -> None:
    changed = [DRIVER, "fs/compiled/anyway.c", OTHER, HEADER]
    assert follow.unbuildable(changed, FOUND, messages) == files


def test_nothing_was_added_for_the_changed_files() -> None:
    assert follow.unbuildable(["fs/compiled/anyway.c"], FOUND, LINKER) == []


@pytest.mark.parametrize(
    ("messages", "main"),
    [
        (LINKER, "drivers/net/ti/icssm/prueth.c:1071: undefined reference to `phy_stop'"),
        ("In file included from a.c:\nb.h:1:2: error: no", "b.h:1:2: error: no"),
        ("modpost: failed", "modpost: failed"),
        ("", ""),
    ],
)
def test_the_message_that_says_why(messages: str, main: str) -> None:
    assert follow.main_message(messages) == main
