"""The tables of the console: who may log in, who is logged in, and who did what."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table

from node.database import UtcDateTime, metadata

accounts = Table(
    "accounts",
    metadata,
    Column("name", String, primary_key=True),
    Column("password_hash", String, nullable=False),  # argon2id, PHC string format
    Column("role", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Sessions of browsers and tokens of programs. Only the sha256 of what they show is here.
sessions = Table(
    "sessions",
    metadata,
    Column("digest", String, primary_key=True),
    Column("account", ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", String, nullable=False),
    Column("is_token", Boolean, nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False, index=True),
)

# Who did what in the console. It names jobs, studies and settings, never a patient.
deeds = Table(
    "deeds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    *(Column(name, String, nullable=False) for name in ("who", "address", "what", "about", "detail")),
    Index(None, "who", "id"),
)
