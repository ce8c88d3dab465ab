"""Organizations, users, role bindings, tokens that stand for somebody, protected environments.

Whoever had a token could do everything: existing tokens go to the user `admin`, who owns the platform.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from controlplane.store import types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Ids that no clock makes: the first of all.
_ORGANIZATION, _USER, _BINDING = ("0" * 25 + digit for digit in "123")


def upgrade() -> None:
    organizations = op.create_table(
        "organizations",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("organization", sa.String(length=63), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("update_time", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_organizations")),
        sa.UniqueConstraint("organization", name=op.f("uq_organizations_organization")),
    )
    users = op.create_table(
        "users",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("update_time", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    bindings = op.create_table(
        "role_bindings",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_role_bindings")),
        sa.UniqueConstraint(
            "scope", "subject", "role", name=op.f("uq_role_bindings_scope_subject_role")
        ),
    )
    op.create_index(op.f("ix_role_bindings_subject"), "role_bindings", ["subject"], unique=False)
    now = datetime.now(UTC)
    op.bulk_insert(
        organizations,
        [
            {
                "uid": _ORGANIZATION,
                "organization": "default",
                "display_name": "default",
                "generation": 1,
                "create_time": now,
                "update_time": now,
            }
        ],
    )
    op.bulk_insert(
        users,
        [
            {
                "uid": _USER,
                "name": "users/admin",
                "display_name": "admin",
                "email": "",
                "disabled": False,
                "generation": 1,
                "create_time": now,
                "update_time": now,
            }
        ],
    )
    op.bulk_insert(
        bindings,
        [
            {
                "uid": _BINDING,
                "scope": "",
                "subject": "users/admin",
                "role": "owner",
                "create_time": now,
            }
        ],
    )
    with op.batch_alter_table("api_tokens") as batch:
        batch.add_column(
            sa.Column("subject", sa.Text(), nullable=False, server_default="users/admin")
        )
        batch.add_column(
            sa.Column("kind", sa.String(length=20), nullable=False, server_default="personal")
        )
        batch.add_column(sa.Column("scope", sa.Text(), nullable=False, server_default=""))
        batch.add_column(sa.Column("permissions", sa.JSON(none_as_null=True), nullable=True))
        batch.add_column(sa.Column("last_use_time", types.UtcDateTime(), nullable=True))
    op.create_index(op.f("ix_api_tokens_subject"), "api_tokens", ["subject"], unique=False)
    op.add_column(
        "environments",
        sa.Column("protected", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("environments", "protected")
    op.drop_index(op.f("ix_api_tokens_subject"), "api_tokens")
    with op.batch_alter_table("api_tokens") as batch:
        for column in ("subject", "kind", "scope", "permissions", "last_use_time"):
            batch.drop_column(column)
    op.drop_table("role_bindings")
    op.drop_table("users")
    op.drop_table("organizations")
