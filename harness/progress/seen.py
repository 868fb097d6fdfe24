# SPDX-License-Identifier: GPL-2.0-only
"""Words of others on our terminal, or in the log of a CI system: none of them is a command there.

A guest may say anything, and so may a compiler that quotes a patch: a terminal's escape sequences,
or a line that GitHub's runner takes for one of its workflow commands, wherever it is printed.
"""

from __future__ import annotations

import os
import re

from rich.text import Text

from harness.text import printable

# A workflow command begins a line; of the older form it stands anywhere.
_COMMAND = re.compile(r"^(\s*):(?=:)|(#)(?=#\[)", re.MULTILINE)


def seen(text: str, *, lines: bool = False) -> str:
    """Give text that can be printed: letter by letter, so that what fitted a line still does.

    With ``lines`` it may have several.
    """
    clean = printable(text)
    clean = clean if lines else clean.replace("\n", " ")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        clean = _COMMAND.sub(lambda one: f"{one[0]} ", clean)
    return clean


def styled(text: Text, *, lines: bool = False) -> Text:
    """Give the same of a text that has styles."""
    found = text.copy()
    found.plain = seen(text.plain, lines=lines)
    return found
