# SPDX-License-Identifier: GPL-2.0-only
"""The entry point of ``harness`` and ``python -m harness``; it catches every exception.

Left to Python, an exception would become exit code 1: a bad commit for `git bisect run`.
"""

import contextlib
import sys
import traceback

# Those of harness.errors, which may itself be broken.
HOST_FAULT, INTERRUPTED = 128, 130


def main() -> int:
    """Run the command line; say why if it cannot start, for example in a broken installation."""
    try:
        from harness import cli

        return cli.main()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as error:  # of any kind: none may become exit code 1
        with contextlib.suppress(Exception):
            _show(error)
        return HOST_FAULT


def _show(error: BaseException) -> None:
    traceback.print_exception(error)
    what = traceback.format_exception_only(error)[-1].strip()
    print(f"harness: harness itself is broken: {what}", file=sys.stderr)
    print("  try: ./setup.sh repairs an installation; else report this", file=sys.stderr)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
