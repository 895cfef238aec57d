"""Indexes for what would read a whole table: keeping house, old storage commitments, somebody's deeds."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Change the indexes; no row is touched."""
    op.drop_index("ix_jobs_files_removed_at_state_updated_at", "jobs")
    for name, condition in (
        ("ix_jobs_with_files", "files_removed_at IS NULL"),
        ("ix_jobs_without_files", "files_removed_at IS NOT NULL"),
    ):
        only = sa.text(condition)
        columns = ["state", "updated_at", "id"]
        op.create_index(name, "jobs", columns, sqlite_where=only, postgresql_where=only)
    op.create_index("ix_transactions_begun_at", "transactions", ["begun_at"])
    op.create_index("ix_commitments_created_at", "commitments", ["created_at"])
    op.create_index("ix_deeds_who_id", "deeds", ["who", "id"])
