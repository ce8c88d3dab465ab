"""The first tables."""

import sqlalchemy as sa
from alembic import op

from controlplane.store import types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("expire_time", types.UtcDateTime(), nullable=True),
        sa.Column("revoke_time", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_tokens_secret_hash")),
    )
    op.create_table(
        "changes",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_changes_create_time"), "changes", ["create_time"], unique=False)
    op.create_index(op.f("ix_changes_kind_seq"), "changes", ["kind", "seq"], unique=False)
    op.create_table(
        "clusters",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("cluster", sa.String(length=63), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("last_seen_time", types.UtcDateTime(), nullable=True),
        sa.Column("round_trip", types.Microseconds(), nullable=True),
        sa.Column("agent_version", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("last_command_seq", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("update_time", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_clusters")),
        sa.UniqueConstraint("cluster", name=op.f("uq_clusters_cluster")),
    )
    op.create_table(
        "idempotency",
        sa.Column("principal", sa.String(length=100), nullable=False),
        sa.Column("method", sa.String(length=200), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "method", "request_id", name=op.f("pk_idempotency")),
    )
    op.create_index(
        op.f("ix_idempotency_create_time"), "idempotency", ["create_time"], unique=False
    )
    op.create_table(
        "instance",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_instance")),
    )
    op.create_table(
        "operations",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("cluster_uid", sa.String(length=26), nullable=False),
        sa.Column("cluster", sa.String(length=63), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("update_time", types.UtcDateTime(), nullable=False),
        sa.Column("end_time", types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_operations")),
    )
    op.create_index(
        op.f("ix_operations_cluster_uid_done"), "operations", ["cluster_uid", "done"], unique=False
    )
    op.create_index(op.f("ix_operations_target"), "operations", ["target"], unique=False)
    op.create_table(
        "projects",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("organization", sa.String(length=63), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("update_time", types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_projects")),
        sa.UniqueConstraint(
            "organization", "project", name=op.f("uq_projects_organization_project")
        ),
    )
    op.create_table(
        "add_ons",
        sa.Column("cluster_uid", sa.String(length=26), nullable=False),
        sa.Column("add_on", sa.String(length=63), nullable=False),
        sa.Column("cluster", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("log_tail", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_time", types.UtcDateTime(), nullable=True),
        sa.Column("transition_time", types.UtcDateTime(), nullable=True),
        sa.Column("depends_on", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_uid"],
            ["clusters.uid"],
            name=op.f("fk_add_ons_cluster_uid_clusters"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cluster_uid", "add_on", name=op.f("pk_add_ons")),
    )
    op.create_table(
        "agent_certificates",
        sa.Column("cluster_uid", sa.String(length=26), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("expire_time", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_uid"],
            ["clusters.uid"],
            name=op.f("fk_agent_certificates_cluster_uid_clusters"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cluster_uid", name=op.f("pk_agent_certificates")),
    )
    op.create_table(
        "commands",
        sa.Column("command_id", sa.String(length=26), nullable=False),
        sa.Column("cluster_uid", sa.String(length=26), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("environment_uid", sa.String(length=26), nullable=False),
        sa.Column("app_uid", sa.String(length=26), nullable=False),
        sa.Column("operation_uid", sa.String(length=26), nullable=False),
        sa.Column("deployment_uid", sa.String(length=26), nullable=False),
        sa.Column("deadline", types.UtcDateTime(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("progress_epoch", sa.BigInteger(), nullable=False),
        sa.Column("progress_version", sa.BigInteger(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("finish_time", types.UtcDateTime(), nullable=True),
        sa.Column("result_time", types.UtcDateTime(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_uid"],
            ["clusters.uid"],
            name=op.f("fk_commands_cluster_uid_clusters"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("command_id", name=op.f("pk_commands")),
        sa.UniqueConstraint("cluster_uid", "seq", name=op.f("uq_commands_cluster_uid_seq")),
    )
    op.create_index(op.f("ix_commands_app_uid"), "commands", ["app_uid"], unique=False)
    op.create_index(
        op.f("ix_commands_cluster_uid_state_seq"),
        "commands",
        ["cluster_uid", "state", "seq"],
        unique=False,
    )
    op.create_index(
        op.f("ix_commands_environment_uid"), "commands", ["environment_uid"], unique=False
    )
    op.create_index(op.f("ix_commands_operation_uid"), "commands", ["operation_uid"], unique=False)
    op.create_table(
        "environments",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("project_uid", sa.String(length=26), nullable=False),
        sa.Column("cluster_uid", sa.String(length=26), nullable=False),
        sa.Column("organization", sa.String(length=63), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("cluster", sa.String(length=63), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("namespace", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("update_time", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_uid"], ["clusters.uid"], name=op.f("fk_environments_cluster_uid_clusters")
        ),
        sa.ForeignKeyConstraint(
            ["project_uid"], ["projects.uid"], name=op.f("fk_environments_project_uid_projects")
        ),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_environments")),
        sa.UniqueConstraint(
            "cluster_uid", "namespace", name=op.f("uq_environments_cluster_uid_namespace")
        ),
        sa.UniqueConstraint(
            "organization",
            "project",
            "environment",
            name=op.f("uq_environments_organization_project_environment"),
        ),
    )
    op.create_index(
        op.f("ix_environments_cluster_uid"), "environments", ["cluster_uid"], unique=False
    )
    op.create_index(
        op.f("ix_environments_project_uid"), "environments", ["project_uid"], unique=False
    )
    op.create_table(
        "join_tokens",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("cluster_uid", sa.String(length=26), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("expire_time", types.UtcDateTime(), nullable=False),
        sa.Column("use_time", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cluster_uid"],
            ["clusters.uid"],
            name=op.f("fk_join_tokens_cluster_uid_clusters"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_join_tokens")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_join_tokens_secret_hash")),
    )
    op.create_table(
        "report_versions",
        sa.Column("cluster_uid", sa.String(length=26), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_uid"],
            ["clusters.uid"],
            name=op.f("fk_report_versions_cluster_uid_clusters"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cluster_uid", "key", name=op.f("pk_report_versions")),
    )
    op.create_table(
        "apps",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("environment_uid", sa.String(length=26), nullable=False),
        sa.Column("cluster_uid", sa.String(length=26), nullable=False),
        sa.Column("organization", sa.String(length=63), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("cluster", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("wanted_revision", sa.BigInteger(), nullable=False),
        sa.Column("serving_revision", sa.BigInteger(), nullable=False),
        sa.Column("services", sa.JSON(), nullable=False),
        sa.Column("observe_time", types.UtcDateTime(), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("update_time", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_uid"], ["clusters.uid"], name=op.f("fk_apps_cluster_uid_clusters")
        ),
        sa.ForeignKeyConstraint(
            ["environment_uid"],
            ["environments.uid"],
            name=op.f("fk_apps_environment_uid_environments"),
        ),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_apps")),
        sa.UniqueConstraint(
            "organization",
            "project",
            "environment",
            "app",
            name=op.f("uq_apps_organization_project_environment_app"),
        ),
    )
    op.create_index(op.f("ix_apps_cluster_uid"), "apps", ["cluster_uid"], unique=False)
    op.create_index(op.f("ix_apps_environment_uid"), "apps", ["environment_uid"], unique=False)
    op.create_table(
        "deployments",
        sa.Column("uid", sa.String(length=26), nullable=False),
        sa.Column("app_uid", sa.String(length=26), nullable=False),
        sa.Column("app_name", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("services", sa.JSON(), nullable=False),
        sa.Column("diagnostics", sa.JSON(), nullable=False),
        sa.Column("objects_applied", sa.Integer(), nullable=False),
        sa.Column("objects_total", sa.Integer(), nullable=False),
        sa.Column("operation_uid", sa.String(length=26), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.Column("update_time", types.UtcDateTime(), nullable=False),
        sa.Column("end_time", types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["app_uid"], ["apps.uid"], name=op.f("fk_deployments_app_uid_apps"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_deployments")),
    )
    op.create_index(
        op.f("ix_deployments_app_uid_uid"), "deployments", ["app_uid", "uid"], unique=False
    )
    op.create_table(
        "revisions",
        sa.Column("app_uid", sa.String(length=26), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("compose_files", sa.JSON(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("was_ready", sa.Boolean(), nullable=False),
        sa.Column("create_time", types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_uid"], ["apps.uid"], name=op.f("fk_revisions_app_uid_apps"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("app_uid", "revision", name=op.f("pk_revisions")),
    )
    op.create_table(
        "revision_files",
        sa.Column("app_uid", sa.String(length=26), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_uid", "revision"],
            ["revisions.app_uid", "revisions.revision"],
            name=op.f("fk_revision_files_app_uid_revision_revisions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("app_uid", "revision", "position", name=op.f("pk_revision_files")),
    )
