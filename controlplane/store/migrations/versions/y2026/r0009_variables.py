"""Variables and secrets; and the variables of revisions, encrypted."""

import json

import sqlalchemy as sa
from alembic import context, op

from controlplane.domain.errors import StorageUnavailable
from controlplane.domain.sealing import Cipher
from controlplane.domain.variables import bound_to_revision, pack
from controlplane.store import types

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "variables",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("secret", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("update_time", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_variables")),
        sa.UniqueConstraint("scope", "key", name=op.f("uq_variables_scope_key")),
    )
    op.create_index(op.f("ix_variables_key_id"), "variables", ["key_id"])
    op.add_column(
        "revisions",
        sa.Column("variable_sources", sa.JSON(), nullable=False, server_default="[]"),
    )
    op.add_column("revisions", sa.Column("variables_key_id", sa.String(length=40), nullable=True))
    op.add_column("revisions", sa.Column("variables_box", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_revisions_variables_key_id"), "revisions", ["variables_key_id"])
    _encrypt()
    op.drop_column("revisions", "variables")


def _encrypt() -> None:
    """Those that were kept in clear. The connection overwrites what is deleted (`secure_delete`)."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text("SELECT app_uid, revision FROM revisions WHERE variables NOT IN ('{}', 'null')")
    ).all()
    if not rows:
        return
    cipher: Cipher | None = context.config.attributes.get("cipher")
    if cipher is None:
        raise StorageUnavailable(
            "revisions have variables that must be encrypted, and there is no keyring for that"
        )
    for app_uid, number in rows:
        key = {"app_uid": app_uid, "revision": number}
        values = json.loads(
            connection.execute(
                sa.text(
                    "SELECT variables FROM revisions WHERE app_uid = :app_uid AND revision = :revision"
                ),
                key,
            ).scalar_one()
        )
        sealed = cipher.seal(pack(values), bound_to=bound_to_revision(app_uid, number))
        sources = [{"key": name, "secret": False, "scope": "", "version": 0} for name in values]
        connection.execute(
            sa.text(
                "UPDATE revisions SET variable_sources = :sources, variables_key_id = :key_id, "
                "variables_box = :box WHERE app_uid = :app_uid AND revision = :revision"
            ),
            {
                **key,
                "sources": json.dumps(sorted(sources, key=lambda source: str(source["key"]))),
                "key_id": sealed.key_id,
                "box": sealed.box,
            },
        )
