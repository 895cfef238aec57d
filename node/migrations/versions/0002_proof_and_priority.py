"""Priorities and traces of jobs, proofs of delivery, commitments asked of the node, and keeping house."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the columns and the tables."""
    _extend_jobs()
    _extend_deliveries()
    _make_proofs()
    _make_transactions()
    _make_commitments()
    _make_keeping()


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def _extend_jobs() -> None:
    op.add_column("jobs", sa.Column("priority", sa.Integer, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("trace", sa.String, nullable=False, server_default=""))
    op.add_column("jobs", _moment("files_removed_at", nullable=True))
    op.drop_index("ix_jobs_state_id", "jobs")
    op.create_index("ix_jobs_state_priority_id", "jobs", ["state", "priority", "id"])
    op.create_index("ix_jobs_study_instance_uid", "jobs", ["study_instance_uid"])


def _extend_deliveries() -> None:
    op.add_column("deliveries", _moment("sent_at", nullable=True))
    op.add_column("deliveries", sa.Column("transaction_uid", sa.String, nullable=True))
    op.add_column("deliveries", sa.Column("priority", sa.Integer, nullable=False, server_default="0"))
    op.create_index(
        "ix_deliveries_destination_state_priority_id",
        "deliveries",
        ["destination", "state", "priority", "id"],
    )
    op.create_index(
        "ix_deliveries_destination_state_updated_at", "deliveries", ["destination", "state", "updated_at"]
    )
    op.add_column("deliveries", _moment("asked_at", nullable=True))
    op.add_column("deliveries", sa.Column("resends", sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_deliveries_transaction_uid", "deliveries", ["transaction_uid"])


def _make_proofs() -> None:
    op.create_table(
        "proofs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("delivery_id", sa.Integer, nullable=False),
        _moment("at"),
        _text("kind"),
        sa.Column("holds", sa.Boolean, nullable=False),
        _text("reason"),
        sa.PrimaryKeyConstraint("id", name="pk_proofs"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_proofs_delivery_id"),
    )
    op.create_index("ix_proofs_delivery_id", "proofs", ["delivery_id"])


def _make_transactions() -> None:
    op.create_table(
        "transactions",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("transaction_uid"),
        _text("destination"),
        _moment("begun_at"),
        sa.Column("newest_proof", sa.Integer, nullable=False),
        sa.Column("delivery_ids", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transactions"),
        sa.UniqueConstraint("transaction_uid", name="uq_transactions_transaction_uid"),
    )


def _make_commitments() -> None:
    op.create_table(
        "commitments",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("transaction_uid"),
        _text("calling_ae_title"),
        sa.Column("references", sa.JSON, nullable=False),
        _text("state"),
        sa.Column("attempts", sa.Integer, nullable=False),
        _moment("due_at"),
        _text("reason"),
        sa.Column("lease_owner", sa.String),
        _moment("lease_until", nullable=True),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_commitments"),
        sa.UniqueConstraint(
            "calling_ae_title", "transaction_uid", name="uq_commitments_calling_ae_title_transaction_uid"
        ),
    )
    op.create_index("ix_commitments_state_due_at", "commitments", ["state", "due_at"])


def _make_keeping() -> None:
    op.create_index(
        "ix_jobs_files_removed_at_state_updated_at", "jobs", ["files_removed_at", "state", "updated_at"]
    )
    op.create_index("ix_jobs_path", "jobs", ["path"])
    op.create_index("ix_results_path", "results", ["path"])
    op.create_table(
        "tombstones",
        _text("sop_instance_uid"),
        _text("digest"),
        sa.PrimaryKeyConstraint("sop_instance_uid", name="pk_tombstones"),
    )
    op.create_table(
        "queue_identity",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("value"),
        sa.Column("passes", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_queue_identity"),
    )
