# SPDX-License-Identifier: GPL-2.0-only
"""A terminal as a person sees it: a program on a real pty, its screen kept by pyte."""

from __future__ import annotations

import os
import select
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte
import warm
from patience import PATIENCE


class Screen:
    """Runs a program; ``lines`` is what the screen shows now, ``seen`` all screens there were."""

    def __init__(
        self, argv: Sequence[str], cwd: Path, env: dict[str, str], size: tuple[int, int] = (24, 80)
    ) -> None:
        self.size = size
        self._screen = pyte.HistoryScreen(size[1], size[0], history=2000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.seen: list[list[str]] = []
        self._terminal, theirs = os.openpty()
        termios.tcsetwinsize(theirs, size)
        own = {"TERM": "xterm-256color", **env}
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = warm.Popen(argv, cwd=cwd, env=own, terminal=True, **streams)
        os.close(theirs)

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._terminal, key)

    @property
    def lines(self) -> list[str]:
        """The screen, without empty lines at its end."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines)

    @property
    def scrolled(self) -> list[str]:
        """What has left the screen at its top, and the screen."""
        gone = ["".join(row[x].data for x in sorted(row)) for row in self._screen.history.top]
        return [*(line.rstrip() for line in gone), *self.lines]

    @property
    def cursor_hidden(self) -> bool:
        """Whether the cursor is not shown."""
        return bool(self._screen.cursor.hidden)

    def until(self, wanted: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Read until ``wanted`` holds; a test that waits in vain shows the screen."""
        end = time.monotonic() + seconds
        while not wanted():
            assert time.monotonic() < end, f"the screen is\n{self.text}"
            assert self._read(), f"it ended with\n{self.text}"

    def hang_up(self) -> int:
        """Close the window, during whatever goes on in it; gives the exit status."""
        os.close(self._terminal)
        return int(self.process.wait(PATIENCE))

    def ended(self, seconds: float = PATIENCE) -> int:
        """Read to the end; gives the exit status."""
        end = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < end, f"the screen is\n{self.text}"
        return self.hang_up()

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], 0.1)[0]:
            return self.process.poll() is None
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # nobody holds it any more
            return False
        self.raw += data
        self._stream.feed(data)
        if not self.seen or self.seen[-1] != self.lines:
            self.seen.append(self.lines)
        return True
