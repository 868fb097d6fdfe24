# SPDX-License-Identifier: GPL-2.0-only
"""The entry point of ``harness`` and ``python -m harness``; it catches every exception.

Python would exit with 1 after an exception, which `git bisect run` takes for a bad commit.
"""

import contextlib
import sys
import traceback

# As in harness.errors, which may itself be broken.
HOST_FAULT, INTERRUPTED = 128, 130


def main() -> int:
    """Run the command line; print why if it cannot start, for example in a broken installation."""
    try:
        from harness import cli

        return cli.main()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as error:  # every exception: none may become exit code 1
        with contextlib.suppress(Exception):
            _show(error)
        return HOST_FAULT


def _show(error: BaseException) -> None:
    traceback.print_exception(error)
    what = traceback.format_exception_only(error)[-1].strip()
    print(f"harness: internal error: {what}", file=sys.stderr)
    print(
        "  try: ./setup.sh to repair the installation; if that does not help, report this",
        file=sys.stderr,
    )
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
