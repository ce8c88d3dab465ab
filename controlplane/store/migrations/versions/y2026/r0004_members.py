"""Passwords, groups, custom roles, service accounts."""

import sqlalchemy as sa
from alembic import op

from controlplane.store import types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ITEMS = {"groups": "group", "custom_roles": "role", "service_accounts": "account"}


def upgrade() -> None:
    op.add_column("users", sa.Column("password_hash", sa.Text(), nullable=True))
    for table in _ITEMS:
        extra = (
            [sa.Column("permissions", sa.JSON(), nullable=False)] if table == "custom_roles" else []
        )
        op.create_table(
            table,
            sa.Column("uid", sa.String(length=26), nullable=False),
            sa.Column("organization", sa.String(length=63), nullable=False),
            sa.Column("name", sa.String(length=160), nullable=False),
            sa.Column("display_name", sa.Text(), nullable=False),
            *extra,
            sa.Column("generation", sa.BigInteger(), nullable=False),
            sa.Column("create_time", types.UtcDateTime(), nullable=False),
            sa.Column("update_time", types.UtcDateTime(), nullable=False),
            sa.ForeignKeyConstraint(
                ["organization"],
                ["organizations.organization"],
                name=op.f(f"fk_{table}_organization_organizations"),
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("uid", name=op.f(f"pk_{table}")),
            sa.UniqueConstraint("name", name=op.f(f"uq_{table}_name")),
        )
        op.create_index(op.f(f"ix_{table}_organization"), table, ["organization"], unique=False)
    op.create_table(
        "group_members",
        sa.Column("group_name", sa.String(length=160), nullable=False),
        sa.Column("user_name", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_name"],
            ["groups.name"],
            name=op.f("fk_group_members_group_name_groups"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_name"],
            ["users.name"],
            name=op.f("fk_group_members_user_name_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("group_name", "user_name", name=op.f("pk_group_members")),
    )
    op.create_index(
        op.f("ix_group_members_user_name"), "group_members", ["user_name"], unique=False
    )


def downgrade() -> None:
    op.drop_table("group_members")
    for table in _ITEMS:
        op.drop_table(table)
    op.drop_column("users", "password_hash")
