# SPDX-License-Identifier: GPL-2.0-only
"""Boot kernels with virtme-ng and run pytest-xdist workers in them.

``start`` boots guests, each held by a keeper process; ``relay_command`` is what xdist starts as a
worker: it claims a guest and copies data between xdist and the guest's results port.
"""

from harness.guest.handle import GuestHandle, find, relay_command, start
from harness.guest.interactive import shell
from harness.guest.private import sweep
from harness.guest.spec import GuestSpec

__all__ = ["GuestHandle", "GuestSpec", "find", "relay_command", "shell", "start", "sweep"]
