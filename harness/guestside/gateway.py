# SPDX-License-Identifier: GPL-2.0-only
"""The guest's end of an execnet gateway: the results port as standard input and output."""

from __future__ import annotations

import functools
import gc
import importlib
import os
import select
import sys
import time
from pathlib import Path
from types import CodeType
from typing import Any

#: Our modules that pytest has imported, if it was configured before the guest was saved.
rehearsed: set[str] = set()


def first_line(fd: int) -> bytes:
    """Read the line that execnet sends first, and nothing after it.

    Until the host connects, reads return end-of-file immediately.  They also do so after the host
    has disconnected, but then the host ends the guest.
    """
    line = b""
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    while not line.endswith(b"\n"):
        waiting.poll()
        part = os.read(fd, 65536)
        line += part
        if not part:
            time.sleep(0.005)
    return line


@functools.cache
def text(path: str) -> str:
    """Return the contents of a source file."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        return file.read()


@functools.cache
def compiled(source: str, name: str, mode: str) -> CodeType:
    """Compile what the host sends.  It sends the same modules to every guest."""
    return compile(source, name, mode)


def prefer(folder: str) -> None:
    """Make Python and pytest look for compiled modules in ``folder`` first.

    Both check themselves that a compiled file belongs to its source.
    """
    rewrite = importlib.import_module("_pytest.assertion.rewrite")
    rewritten: Any = getattr(rewrite, "get_cache_dir", None)
    machinery = sys.modules["_frozen_importlib_external"]
    plain = vars(machinery)["cache_from_source"]

    def rewritten_first(path: Path) -> Path:
        ours = Path(folder, *path.parts[1:-1])
        return ours if (ours / f"{path.stem}{rewrite.PYC_TAIL}").exists() else rewritten(path)

    def plain_first(path: str, *words: Any, **more: Any) -> str:
        usual: str = plain(path, *words, **more)
        ours = f"{folder}{path.rpartition('/')[0]}/{usual.rpartition('/')[2]}"
        return ours if os.path.exists(ours) else usual  # noqa: PTH110

    if rewritten:
        vars(rewrite)["get_cache_dir"] = rewritten_first
    vars(machinery)["cache_from_source"] = plain_first


@functools.cache
def warm_up(folder: str) -> None:
    """Import what the host's first commands need, while the host is getting ready.

    ``folder`` has compiled modules, of tests with rewritten assertions.
    """
    gc.disable()  # it would find no garbage during the imports
    gateway_base = importlib.import_module("execnet.gateway_base")
    text(gateway_base.__file__)
    vars(gateway_base)["compile"] = compiled
    importlib.import_module("pytest")
    if folder:
        prefer(folder)
    gc.freeze()  # exempts the modules from later collections
    gc.enable()


def run(line: bytes) -> None:
    """Execute execnet's first line: a quoted program, its gateway module followed by a few lines.

    The module has been imported already, so only the other lines are compiled.
    """
    from execnet import gateway_base

    source: str = eval(line)
    module = text(gateway_base.__file__)
    if source.startswith(module):
        exec(source[len(module) :], vars(gateway_base))
    else:
        exec(source, {"__name__": "__main__", "__builtins__": __builtins__})


def serve(fd: int, folder: str) -> None:
    """Serve one gateway on the port ``fd``, until the host closes it.

    ``folder`` has compiled modules, of tests with rewritten assertions.
    """
    warm_up(folder)
    line = first_line(fd)
    os.dup2(fd, 0)
    os.dup2(fd, 1)
    os.close(fd)
    for name in [name for name in sys.modules if name.partition(".")[0] == "harness"]:
        if name not in rehearsed:
            del sys.modules[name]  # pytest must import a plugin's package itself
    run(line)
