# SPDX-License-Identifier: GPL-2.0-only
"""Where ``harness`` and ``python -m harness`` begin, and where an exception ends at the latest.

Python would end with 1, which `git bisect run` takes for a bad commit.
"""

import contextlib
import sys
import traceback

# As harness.errors has them, which may be what is broken.
HOST_FAULT, INTERRUPTED = 128, 130


def main() -> int:
    """Run the command line; what keeps it from starting, such as a broken installation, is told."""
    try:
        from harness import cli

        return cli.main()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as error:  # of any kind: none may become exit code 1
        with contextlib.suppress(Exception):
            _tell(error)
        return HOST_FAULT


def _tell(error: BaseException) -> None:
    traceback.print_exception(error)
    what = traceback.format_exception_only(error)[-1].strip()
    print(f"harness: harness itself is broken: {what}", file=sys.stderr)
    print("  try: ./setup.sh, which mends an installation; else report the above", file=sys.stderr)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
