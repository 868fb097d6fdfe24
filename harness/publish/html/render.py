# SPDX-License-Identifier: GPL-2.0-only
"""A page as one HTML file: our templates, style and script, and nothing from anywhere else.

Everything that a patch, a test or a kernel said is text and never markup: jinja2 escapes it, and
the page's policy lets no script run but our own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import jinja2
import markupsafe

from harness.publish.html.values import Page

_HERE = Path(__file__).parent / "templates"

# Bytes that would be invisible, move the text around them, or are no text at all.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_BROKEN = re.compile("[\ud800-\udfff]")


def visible(value: object) -> object:
    """Show what a text hides: control characters, and those that change the order of letters."""
    if not isinstance(value, str) or isinstance(value, markupsafe.Markup):
        return "" if value is None else value
    if value.isascii() and value.isprintable():
        return value
    text = _CONTROL.sub(lambda one: chr(0x2400 + ord(one[0])), value)
    text = _UNSEEN.sub(lambda one: f"<U+{ord(one[0]):04X}>", text)
    return _BROKEN.sub("�", text)


def write(page: Page, file: Path) -> int:
    """Write the page; gives its size in bytes.  It is written piece by piece, and is there whole.

    Raises OSError when the file cannot be written.
    """
    draft = file.with_name(f".{file.name}.part")
    script = _read("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    stream = (
        _environment()
        .get_template("page.html")
        .stream(
            page=page,
            style=markupsafe.Markup(_read("style.css")),
            script=markupsafe.Markup(script),
            digest=digest,
        )
    )
    stream.enable_buffering(64)
    try:
        with draft.open("w", encoding="utf-8") as out:
            out.writelines(stream)
        size = draft.stat().st_size
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return size


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        finalize=visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
