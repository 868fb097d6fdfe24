# SPDX-License-Identifier: GPL-2.0-only
"""How a verb ends that raised something: words for the person or the script, and an exit code.

Whatever it is, the exit code is none that `git bisect run` takes for a verdict.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import platform
import select
import shlex
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence

import harness
from harness import errors, paths
from harness.progress import Progress

# What the system refuses for reasons of its own; any other of its errors is a mistake of ours.
_REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EFBIG, errno.ENAMETOOLONG),
}


def ended(
    error: BaseException, words: Sequence[str], progress: Progress, *, as_json: bool = False
) -> int:
    """Tell what the command line ``words`` raised; gives the exit code."""
    # rich, whose reader has gone, turns standard output to /dev/null and ends the program.
    by_rich = isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
    if by_rich or (isinstance(error, BrokenPipeError) and _nobody_reads()):
        return errors.HOST_FAULT  # somebody's `| head` has seen enough
    return _told(_explained(error, words), progress, as_json=as_json)


def _explained(error: BaseException, words: Sequence[str]) -> errors.HarnessError:
    if isinstance(error, errors.HarnessError):
        return error
    if isinstance(error, KeyboardInterrupt):
        what = "interrupted; what is downloaded and compiled is kept"
        return errors.Interrupted(what, hint=shlex.join(["harness", *words]))
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f": {error.filename}" if error.filename else ""
        full = "free some space (harness clean), or set HARNESS_CACHE and HARNESS_STATE elsewhere"
        return errors.HostFault(f"{error.strerror or error}{where}", hint=full)
    return _unforeseen(error)


def _unforeseen(error: BaseException) -> errors.HarnessError:
    """Give words for an exception that nobody foresaw; its traceback is kept in a file."""
    what = traceback.format_exception_only(error)[-1].strip().partition("\n")[0]
    lines = "".join(traceback.format_exception(error))
    about = f"harness {harness.__version__}, Python {platform.python_version()}"
    try:
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{threading.get_ident()}.txt"
        file = paths.state("tracebacks") / name
        file.write_text(f"{about}\n{lines}", encoding="utf-8", errors="backslashreplace")
    except (errors.HarnessError, OSError):
        hint, details = "please report it, with the lines above", lines
    else:
        hint, details = f"please report it and attach {file}", ""
    return errors.HarnessError(f"a fault of the harness itself: {what}", hint=hint, details=details)


def _told(error: errors.HarnessError, progress: Progress, *, as_json: bool = False) -> int:
    """Show an error to the person, or to the script."""
    if as_json:
        table = {"what": error.what, "hint": error.hint, "details": error.details}
        with contextlib.suppress(OSError):  # the exit code says it too
            print(json.dumps({"error": table, "exit_code": error.exit_code}, indent=1))
    if error.details:
        progress.say(error.details)
    progress.say(f"harness: {error.what}")
    if error.hint:
        progress.say(f"  try: {error.hint}")
    if os.environ.get("GITHUB_ACTIONS") == "true":  # an annotation says it on the job's page
        importlib.import_module("harness.cli.formats").error_in_ci(error)
    return error.exit_code


@contextlib.contextmanager
def threads_heard(progress: Progress) -> Iterator[list[errors.HarnessError]]:
    """Tell what ends a thread of ours while the context lasts; gives the list of it."""
    found: list[errors.HarnessError] = []

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            found.append(_explained(args.exc_value, ()))
            _told(found[-1], progress)

    before, threading.excepthook = threading.excepthook, hook
    try:
        yield found
    finally:
        threading.excepthook = before


def _nobody_reads() -> bool:
    """Whether standard output is a pipe whose reader has gone."""
    asked = select.poll()
    with contextlib.suppress(OSError, ValueError):
        asked.register(sys.stdout.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in asked.poll(0))
    return False


def let_go(code: int) -> int:
    """Flush both streams, so that Python need not when it ends: it would end with 120.

    Gives the exit code; a result that nobody could read is none.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = errors.HOST_FAULT if stream is sys.stdout else code
    return code
