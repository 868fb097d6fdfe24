# SPDX-License-Identifier: GPL-2.0-only
"""What a person sees of a guest's console."""

from __future__ import annotations

import sys

import pexpect
import pytest
from patience import PATIENCE

from harness.guest.interactive import _comes_up, _GuestOutput, _use

BYE = b"[   12.345678] harness: left with status 7\r\r\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (b"one\r\r\ntwo\r\r\n", b"one\ntwo\n"),
        (b"no end", b"no end"),
        (b"[1] a job\r\r\n[   1.5 half a stamp\r\r\n", b"[1] a job\n[   1.5 half a stamp\n"),
        (b"[    3.000000] harness: other\r\r\n", b"[    3.000000] harness: other\n"),
        (b"back\rto the start\r\r\n", b"back\rto the start\n"),
    ],
)
def test_everything_is_shown_but_our_last_line(said: bytes, seen: bytes, size: int) -> None:
    shown = _GuestOutput()
    text = said + BYE + b"[   12.4] reboot: Power down\r\r\n"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert b"".join(shown.filter(piece) for piece in pieces) == seen
    assert shown.left == BYE


def test_a_prompt_is_shown_at_once() -> None:
    assert _GuestOutput().filter(b"# ") == b"# "


def test_output_that_comes_together_with_the_first_line_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # On a busy host all of it may come in one piece.
    text = b"[    1.0] harness: up\r\nsaid\r\n[    2.0] harness: left with status 7\r\n"
    script = f"import os; os.write(1, {text!r})"
    child = pexpect.spawn(sys.executable, ["-c", script], timeout=PATIENCE)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    child.delaybeforesend = None
    child.wait()
    assert _comes_up(child)
    assert _use(child, True, "guest0") == 7
    assert capfd.readouterr().out == "said\n"
