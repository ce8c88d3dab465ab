"""Codes of setup links."""

import sqlalchemy as sa
from alembic import op

from controlplane.store import types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "setup_codes",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("expire_time", types.UtcDateTime(), nullable=False),
        sa.Column("use_time", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_setup_codes")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_setup_codes_secret_hash")),
    )


def downgrade() -> None:
    op.drop_table("setup_codes")
