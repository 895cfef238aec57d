"""The first tables: jobs, their history, results and deliveries."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the tables."""
    _make_jobs()
    _make_job_events()
    _make_results()
    _make_deliveries()


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _reference(name: str, to: str, table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    key = sa.ForeignKeyConstraint([name], [to], name=f"fk_{table}_{name}")
    return sa.Column(name, sa.Integer, nullable=False), key


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        _id(),
        _text("state"),
        _text("reason"),
        sa.Column("attempts", sa.Integer, nullable=False),
        _moment("not_before"),
        sa.Column("primary_uid", sa.String),
        _text("sop_class_uid"),
        _text("sop_instance_uid"),
        _text("study_instance_uid"),
        _text("series_instance_uid"),
        _text("transfer_syntax_uid"),
        _text("digest"),
        _text("path"),
        sa.Column("size", sa.BigInteger, nullable=False),
        _text("calling_ae_title"),
        sa.Column("lease_owner", sa.String),
        _moment("lease_until", nullable=True),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("primary_uid", name="uq_jobs_primary_uid"),
        sa.UniqueConstraint("sop_instance_uid", "digest", name="uq_jobs_sop_instance_uid_digest"),
    )
    op.create_index("ix_jobs_state_id", "jobs", ["state", "id"])


def _make_job_events() -> None:
    op.create_table(
        "job_events",
        _id(),
        *_reference("job_id", "jobs.id", "job_events"),
        _moment("at"),
        _text("event"),
        _text("from_state"),
        _text("to_state"),
        _text("reason"),
        sa.PrimaryKeyConstraint("id", name="pk_job_events"),
    )
    op.create_index("ix_job_events_job_id", "job_events", ["job_id"])


def _make_results() -> None:
    op.create_table(
        "results",
        _id(),
        *_reference("job_id", "jobs.id", "results"),
        _text("kind"),
        _text("sop_class_uid"),
        _text("sop_instance_uid"),
        _text("path"),
        _text("digest"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_results"),
        sa.UniqueConstraint("job_id", "sop_instance_uid", name="uq_results_job_id_sop_instance_uid"),
    )


def _make_deliveries() -> None:
    op.create_table(
        "deliveries",
        _id(),
        *_reference("job_id", "jobs.id", "deliveries"),
        *_reference("result_id", "results.id", "deliveries"),
        _text("destination"),
        _text("state"),
        sa.Column("attempts", sa.Integer, nullable=False),
        _moment("due_at"),
        sa.Column("status", sa.Integer),
        _text("reason"),
        sa.Column("lease_owner", sa.String),
        _moment("lease_until", nullable=True),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("result_id", "destination", name="uq_deliveries_result_id_destination"),
    )
    op.create_index("ix_deliveries_job_id", "deliveries", ["job_id"])
    op.create_index(
        "ix_deliveries_destination_state_due_at", "deliveries", ["destination", "state", "due_at"]
    )
