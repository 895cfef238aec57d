"""Who may log in to the console, who is logged in, and who did what."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "accounts",
        *(sa.Column(name, sa.String, nullable=False) for name in ("name", "password_hash", "role")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_accounts"),
    )
    op.create_table(
        "sessions",
        *(sa.Column(name, sa.String, nullable=False) for name in ("digest", "account", "csrf")),
        sa.Column("is_token", sa.Boolean, nullable=False),
        *(
            sa.Column(name, sa.DateTime(timezone=True), nullable=False)
            for name in ("begun_at", "seen_at", "ends_at")
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_sessions"),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name="fk_sessions_account", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_sessions_account", "sessions", ["account"])
    op.create_index("ix_sessions_ends_at", "sessions", ["ends_at"])
    op.create_table(
        "deeds",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(name, sa.String, nullable=False)
            for name in ("who", "address", "what", "about", "detail")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deeds"),
    )
