# SPDX-License-Identifier: GPL-2.0-only
"""Common assertions of tests, with helpful messages."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator


@contextlib.contextmanager
def errno_is(*numbers: int) -> Iterator[None]:
    """Raise AssertionError unless the block fails with an OSError that has one of these errnos."""
    wanted = " or ".join(errno.errorcode[n] for n in numbers)
    try:
        yield
    except OSError as error:
        actual = errno.errorcode.get(error.errno or 0, str(error.errno))
        if error.errno in numbers:
            return
        raise AssertionError(f"expected {wanted}, got {actual}: {error}") from error
    raise AssertionError(f"expected {wanted}, but the call succeeded")
