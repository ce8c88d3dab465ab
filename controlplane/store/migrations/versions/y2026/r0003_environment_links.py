"""Links between environments."""

import sqlalchemy as sa
from alembic import op

from controlplane.store import types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "environment_links",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("environment_uid", sa.String(length=26), nullable=False),
        sa.Column("peer_uid", sa.String(length=26), nullable=False),
        sa.Column("pair", sa.String(length=53), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_uid"],
            ["environments.uid"],
            name=op.f("fk_environment_links_environment_uid_environments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["peer_uid"],
            ["environments.uid"],
            name=op.f("fk_environment_links_peer_uid_environments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_environment_links")),
        sa.UniqueConstraint("pair", name=op.f("uq_environment_links_pair")),
    )
    op.create_index(
        op.f("ix_environment_links_environment_uid"), "environment_links", ["environment_uid"]
    )
    op.create_index(op.f("ix_environment_links_peer_uid"), "environment_links", ["peer_uid"])
