"""Logins by code."""

import sqlalchemy as sa
from alembic import op

from controlplane.store import types

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_logins",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_code", sa.String(length=20), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("poll_time", types.UtcDateTime(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("session_end", types.UtcDateTime(), nullable=True),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("expire_time", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_device_logins")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_device_logins_secret_hash")),
        sa.UniqueConstraint("user_code", name=op.f("uq_device_logins_user_code")),
    )


def downgrade() -> None:
    op.drop_table("device_logins")
