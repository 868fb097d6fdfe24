# SPDX-License-Identifier: GPL-2.0-only
"""Alembic runs this for every command; we always pass it our own connection."""

from __future__ import annotations

from alembic import context

from harness.history.migrations import TABLE
from harness.history.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=TABLE,
)
context.run_migrations()
