"""Agents' identities have generations that are used one after the other, and can be revoked and locked."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLE = "agent_certificates"


def upgrade() -> None:
    for column in (
        sa.Column("state", sa.String(length=20), nullable=False, server_default="ACTIVE"),
        sa.Column("message", sa.Text(), nullable=False, server_default=""),
        sa.Column("first_generation", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("used_generation", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("renew_through", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("authority", sa.LargeBinary(), nullable=True),
        sa.Column("used_authority", sa.LargeBinary(), nullable=True),
        sa.Column("pending_key", sa.LargeBinary(), nullable=True),
        sa.Column("pending_certificate", sa.LargeBinary(), nullable=True),
    ):
        op.add_column(_TABLE, column)
    # The certificates given so far carry no generation: the newest one is known by its fingerprint.
    op.execute(
        "UPDATE agent_certificates SET first_generation = generation, used_generation = generation"
    )
