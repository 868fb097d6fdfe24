# SPDX-License-Identifier: GPL-2.0-only
"""Use the same word for a verdict everywhere; a bisection's result is neither good nor bad."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ANSWERS = {"good": "found", "bad": "not proven", "untestable": "not decided"}


def upgrade() -> None:
    """Rename the stored verdicts."""
    run = sa.table("run", sa.column("verdict"), sa.column("verb"), sa.column("ended"))
    op.execute(sa.update(run).where(run.c.verdict == "none").values(verdict="no verdict"))
    for before, now in _ANSWERS.items():
        bisections = (run.c.verb == "bisect", run.c.ended == "done", run.c.verdict == before)
        op.execute(sa.update(run).where(*bisections).values(verdict=now))
