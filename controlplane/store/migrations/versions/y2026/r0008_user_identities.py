"""Identities at identity providers, and roles that come from their groups."""

import sqlalchemy as sa
from alembic import op

from controlplane.store import types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "role_bindings",
        sa.Column("origin", sa.String(length=20), server_default="", nullable=False),
    )
    op.create_table(
        "user_identities",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_name", sa.String(length=80), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("last_login_time", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_name"],
            ["users.name"],
            name=op.f("fk_user_identities_user_name_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_user_identities")),
    )
    op.create_index(
        op.f("ix_user_identities_user_name"), "user_identities", ["user_name"], unique=False
    )


def downgrade() -> None:
    op.drop_table("user_identities")
    op.drop_column("role_bindings", "origin")
