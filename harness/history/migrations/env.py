# SPDX-License-Identifier: GPL-2.0-only
"""What alembic runs for every command: here, only with a connection of ours."""

from __future__ import annotations

from alembic import context

from harness.history.migrations import TABLE
from harness.history.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=TABLE,
)
context.run_migrations()
