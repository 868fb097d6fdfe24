# SPDX-License-Identifier: GPL-2.0-only
"""Record a program in a terminal, and draw the recording as an animated SVG.

python docs/record.py record demo.cast.gz harness run      asciicast, version 2
python docs/record.py picture demo.cast.gz demo.svg        SVG, for a README

The picture shows what was recorded and nothing else; its first words say how much faster.
"""

from __future__ import annotations

import argparse
import codecs
import dataclasses
import gzip
import html
import itertools
import json
import os
import shlex
import sys
import time
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pexpect
import pyte

_WIDE, _HIGH = 8.4, 18.0  # of a letter, in pixels
_MARGIN = 14.0
_PLAYED = 0.25  # seconds a frame is shown at least
_LAST = 6.0  # seconds the end stands
_COLOURS = {
    "default": "#d0d7de",
    "black": "#6e7681",
    "red": "#ff7b72",
    "green": "#56d364",
    "brown": "#e3b341",
    "yellow": "#e3b341",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
    "white": "#ffffff",
}
_STYLE = (
    "text{{font:14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;"
    "white-space:pre;fill:#d0d7de}}"
    "#film{{animation:film {seconds:.2f}s step-end infinite}}"
    "@keyframes film{{{steps}}}"
    "@media (prefers-reduced-motion){{#film{{animation:none;transform:translateY({end}px)}}}}"
)


@dataclasses.dataclass(frozen=True)
class Frame:
    """The screen from a time (in seconds) on; a line is runs of (column, text, style)."""

    at: float
    lines: tuple[tuple[tuple[int, str, str], ...], ...]


def _opened(file: Path, mode: str) -> TextIO:
    """Open a recording; it is compressed, since it is very repetitive."""
    opener = gzip.open if file.suffix == ".gz" else open
    return typing.cast(TextIO, opener(file, mode, encoding="utf-8"))


def record(file: Path, argv: list[str], columns: int, rows: int) -> int:
    """Run a program in a terminal of this size, and record its output with times."""
    environment = {**os.environ, "TERM": "xterm-256color"}
    child = pexpect.spawn(
        argv[0], argv[1:], dimensions=(rows, columns), env=environment, timeout=None
    )
    begin = time.monotonic()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    head = {"version": 2, "width": columns, "height": rows, "command": shlex.join(argv)}
    with _opened(file, "wt") as out:
        out.write(json.dumps(head) + "\n")
        while True:
            try:
                data = child.read_nonblocking(65536, timeout=None)
            except pexpect.EOF:
                break
            event = [round(time.monotonic() - begin, 3), "o", decoder.decode(data)]
            out.write(json.dumps(event, ensure_ascii=False) + "\n")
    child.close()
    return int(child.exitstatus or 0)


def frames(cast: Path, speed: float) -> tuple[dict[str, object], list[Frame]]:
    """Play a recording in a pyte terminal; return its header and the screens."""
    with _opened(cast, "rt") as lines:
        head, *events = [json.loads(line) for line in lines]
    screen = pyte.Screen(head["width"], head["height"])
    stream = pyte.Stream(screen)
    typed = f"$ {head['command']}"
    stream.feed(f"\x1b[1m{typed}\x1b[0m\r\n")
    found = [Frame(0.0, _lines(screen))]
    for at, kind, text in events:
        if kind != "o":
            continue
        played = at / speed
        if played - found[-1].at >= _PLAYED:
            found.append(Frame(played, _lines(screen)))
        stream.feed(text)
    found.append(Frame(max(found[-1].at + _PLAYED, events[-1][0] / speed), _lines(screen)))
    return head, [one for one, other in _pairs(found) if other is None or one.lines != other.lines]


def _pairs(found: list[Frame]) -> Iterator[tuple[Frame, Frame | None]]:
    yield from zip(found, [None, *found[:-1]], strict=True)


def _lines(screen: pyte.Screen) -> tuple[tuple[tuple[int, str, str], ...], ...]:
    lines = []
    for row in range(screen.lines):
        cells = screen.buffer[row]
        styled = [(x, cells[x]) for x in range(screen.columns)]
        runs = []
        for style, group in itertools.groupby(styled, lambda one: _style(one[1])):
            some = list(group)
            text = "".join(cell.data for _, cell in some)
            if text.strip():
                runs.append((some[0][0], text.rstrip(), style))
        lines.append(tuple(runs))
    return tuple(lines)


def _style(cell: pyte.screens.Char) -> str:
    colour = _COLOURS.get(cell.fg, f"#{cell.fg}")
    return f"fill:{colour}" + (";font-weight:bold" if cell.bold else "")


def svg(head: dict[str, object], found: list[Frame], title: str) -> str:
    """Draw the frames one below the other, and a window that moves from one to the next."""
    columns, rows = int(str(head["width"])), int(str(head["height"]))
    wide, high = columns * _WIDE + 2 * _MARGIN, rows * _HIGH + 2 * _MARGIN
    seconds = found[-1].at + _LAST
    steps = "".join(
        f"{100 * frame.at / seconds:.3f}%{{transform:translateY({-n * high:g}px)}}"
        for n, frame in enumerate(found)
    )
    names: dict[tuple[tuple[int, str, str], ...], str] = {}
    film = []
    for n, frame in enumerate(found):
        for row, line in enumerate(frame.lines):
            if line:
                name = names.setdefault(line, f"l{len(names)}")
                y = n * high + _MARGIN + (row + 0.8) * _HIGH
                film.append(f'<use href="#{name}" y="{y:g}"/>')
    lines = "".join(_line(name, line) for line, name in names.items())
    style = _STYLE.format(seconds=seconds, steps=steps, end=f"{-(len(found) - 1) * high:g}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" '
        f'width="{wide:g}" role="img" aria-label="{html.escape(title)}">'
        f"<title>{html.escape(title)}</title><style>{style}</style><defs>{lines}</defs>"
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>'
        f'<g id="film">{"".join(film)}</g></svg>\n'
    )


def _line(name: str, runs: tuple[tuple[int, str, str], ...]) -> str:
    spans = "".join(
        f'<tspan x="{_MARGIN + x * _WIDE:g}" textLength="{len(text) * _WIDE:g}" '
        f'style="{style}">{html.escape(text)}</tspan>'
        for x, text, style in runs
    )
    return f'<text id="{name}">{spans}</text>'


def picture(cast: Path, speed: float) -> str:
    """Return the picture of a recording."""
    head, found = frames(cast, speed)
    faster = f", {speed:g} times as fast" if speed != 1 else ""
    return svg(head, found, f"A recording of {head['command']}{faster}")


def main(words: list[str]) -> int:
    """Record or draw, as the command line says."""
    top = argparse.ArgumentParser(description=__doc__)
    does = top.add_subparsers(dest="does", required=True)
    one = does.add_parser("record")
    one.add_argument("file", type=Path)
    one.add_argument("--columns", type=int, default=100)
    one.add_argument("--rows", type=int, default=30)
    one.add_argument("argv", nargs=argparse.REMAINDER)
    other = does.add_parser("picture")
    other.add_argument("cast", type=Path)
    other.add_argument("file", type=Path)
    other.add_argument("--speed", type=float, default=4)
    options = top.parse_args(words)
    if options.does == "record":
        return record(options.file, options.argv, options.columns, options.rows)
    options.file.write_text(picture(options.cast, options.speed), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
