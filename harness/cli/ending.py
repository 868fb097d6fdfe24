# SPDX-License-Identifier: GPL-2.0-only
"""How a verb ends early: Ctrl-C, errors and unexpected exceptions.

The exit code is never one that `git bisect run` interprets as a verdict.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import json
import os
import platform
import select
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence

import harness
from harness import errors, paths
from harness.progress import Progress

STOPPING = "stopping; results so far are kept (Ctrl-C again stops at once)"

# These errors are the host's fault; any other OSError is a bug in the harness.
_REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EFBIG, errno.ENAMETOOLONG),
}


def ended(
    error: BaseException, words: Sequence[str], progress: Progress, *, as_json: bool = False
) -> int:
    """Show the error that the command ``words`` raised; return the exit code."""
    # If a pipe's reader has exited, rich redirects stdout to /dev/null and raises SystemExit.
    by_rich = isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
    if by_rich or (isinstance(error, BrokenPipeError) and _nobody_reads()):
        return errors.HOST_FAULT  # `| head` may have exited
    return _show(_explained(error, words), progress, as_json=as_json)


def _explained(error: BaseException, words: Sequence[str]) -> errors.HarnessError:
    if isinstance(error, errors.HarnessError):
        return error
    if isinstance(error, KeyboardInterrupt):
        what = "interrupted; downloads and compiled files are kept"
        return errors.Interrupted(what, hint=shlex.join(["harness", *words]))
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f": {error.filename}" if error.filename else ""
        hint = "free some space (harness clean), or move HARNESS_CACHE and HARNESS_STATE"
        return errors.HostFault(f"{error.strerror or error}{where}", hint=hint)
    return _unforeseen(error)


def _unforeseen(error: BaseException) -> errors.HarnessError:
    """Return the error for an unexpected exception; its traceback is kept in a file."""
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
    return errors.HarnessError(f"internal error: {what}", hint=hint, details=details)


def _show(error: errors.HarnessError, progress: Progress, *, as_json: bool = False) -> int:
    """Show an error, with ``as_json`` also as JSON; return the exit code."""
    if as_json:
        table = {"what": error.what, "hint": error.hint, "details": error.details}
        with contextlib.suppress(OSError):  # the exit code also reports the error
            print(json.dumps({"error": table, "exit_code": error.exit_code}, indent=1))
    if error.details:
        progress.say(error.details)
    progress.say(f"harness: {error.what}")
    if error.hint:
        progress.say(f"  try: {error.hint}")
    if "GITHUB_ACTIONS" in os.environ:  # importing it takes time
        importlib.import_module("harness.cli.ci").annotate_error(error)
    return error.exit_code


@contextlib.contextmanager
def threads_watched(progress: Progress) -> Iterator[list[errors.HarnessError]]:
    """Show exceptions that end one of our threads; yield the list of these errors."""
    faults: list[errors.HarnessError] = []

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            faults.append(_explained(args.exc_value, ()))
            _show(faults[-1], progress)

    before, threading.excepthook = threading.excepthook, hook
    try:
        yield faults
    finally:
        threading.excepthook = before


def _nobody_reads() -> bool:
    """Whether standard output is a pipe whose reader has exited."""
    poll = select.poll()
    with contextlib.suppress(OSError, ValueError):
        poll.register(sys.stdout.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    return False


def let_go(code: int) -> int:
    """Flush both streams; return ``code``, or a host fault's code if the result was not written.

    Python would exit with 120 after a failed flush.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = errors.HOST_FAULT if stream is sys.stdout else code
    return code


@contextlib.contextmanager
def interruptible(progress: Progress) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into KeyboardInterrupt, so that all cleanup code runs.

    A second signal ends this process immediately; guards end the processes that it started.  An
    ignored signal (nohup, a shell's background job) stays ignored.
    """

    def first(number: int, _frame: object) -> None:
        for other in before:
            signal.signal(other, second)
        # Print in a thread, because the signal may have interrupted the printing of a line.
        say = functools.partial(progress.say, STOPPING)
        threading.Thread(target=say, name="harness-stopping", daemon=True).start()
        raise KeyboardInterrupt(signal.Signals(number).name)

    def second(_number: int, _frame: object) -> None:
        with contextlib.suppress(OSError):
            os.write(2, b"\x1b[?25h\n" if progress.live else b"")  # show the cursor again
        os._exit(errors.INTERRUPTED)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handled = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, first) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
