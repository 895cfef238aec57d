"""Which rule decided about a job, by which title the node was called, and by what people look for it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the columns and the table."""
    for name in ("called_ae_title", "rule"):
        op.add_column("jobs", sa.Column(name, sa.String, nullable=False, server_default=""))
    op.create_index("ix_jobs_calling_ae_title_id", "jobs", ["calling_ae_title", "id"])
    op.create_table(
        "identities",
        sa.Column("job_id", sa.Integer, nullable=False),
        *(
            sa.Column(name, sa.String, nullable=False)
            for name in ("patient_id", "issuer", "accession_number")
        ),
        *(sa.Column(name, sa.String, nullable=False) for name in ("modality", "study_date")),
        sa.PrimaryKeyConstraint("job_id", name="pk_identities"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_identities_job_id"),
    )
    op.create_index("ix_identities_patient_id", "identities", ["patient_id"])
    op.create_index("ix_identities_accession_number", "identities", ["accession_number"])
