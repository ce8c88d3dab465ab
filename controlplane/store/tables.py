"""The tables. A change here needs a migration in `migrations/versions`; a test compares the two.

Ids that people gave (organization, project, environment, app, cluster) never change, so they are kept beside the uids where
lists are ordered and filtered by them. Nested values (services, conditions, facts) are JSON: they are read and written whole.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from controlplane.store.types import Microseconds, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives ascending numbers to an INTEGER primary key only, PostgreSQL should use bigserial.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

instance = Table(
    "instance",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

organizations = Table(
    "organizations",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("organization", String(63), nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("password_hash", Text),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column(
        "organization",
        ForeignKey("organizations.organization", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("name", String(160), nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_name", ForeignKey("groups.name", ondelete="CASCADE"), primary_key=True),
    Column("user_name", ForeignKey("users.name", ondelete="CASCADE"), primary_key=True, index=True),
)

custom_roles = Table(
    "custom_roles",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column(
        "organization",
        ForeignKey("organizations.organization", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("name", String(160), nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("permissions", JSON, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
)

service_accounts = Table(
    "service_accounts",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column(
        "organization",
        ForeignKey("organizations.organization", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("name", String(160), nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
)

# Scopes and subjects are names: what they name may go and come back, and access is decided by names.
role_bindings = Table(
    "role_bindings",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("origin", String(20), nullable=False, server_default=""),
    UniqueConstraint("scope", "subject", "role"),
)

# Who logs in as whom by single sign-on. A provider may give a mail address to somebody else, so that none is here.
user_identities = Table(
    "user_identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_name", ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("create_time", UtcDateTime, nullable=False),
    Column("last_login_time", UtcDateTime),
)

projects = Table(
    "projects",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("organization", String(63), nullable=False),
    Column("project", String(63), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    UniqueConstraint("organization", "project"),
)

clusters = Table(
    "clusters",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("cluster", String(63), nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("last_seen_time", UtcDateTime),
    Column("round_trip", Microseconds),
    Column("agent_version", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("last_command_seq", BigInteger, nullable=False),
    Column("facts", JSON(none_as_null=True)),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
)

join_tokens = Table(
    "join_tokens",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("cluster_uid", ForeignKey("clusters.uid", ondelete="CASCADE"), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("use_time", UtcDateTime),
)

agent_certificates = Table(
    "agent_certificates",
    metadata,
    Column("cluster_uid", ForeignKey("clusters.uid", ondelete="CASCADE"), primary_key=True),
    # Of the certificate given at the join.
    Column("fingerprint", LargeBinary, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("state", String(20), nullable=False, server_default="ACTIVE"),
    Column("message", Text, nullable=False, server_default=""),
    Column("first_generation", BigInteger, nullable=False, server_default="0"),
    Column("used_generation", BigInteger, nullable=False, server_default="0"),
    Column("renew_through", BigInteger, nullable=False, server_default="0"),
    Column("authority", LargeBinary),
    Column("used_authority", LargeBinary),
    Column("pending_key", LargeBinary),
    Column("pending_certificate", LargeBinary),
)

environments = Table(
    "environments",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("project_uid", ForeignKey("projects.uid"), nullable=False, index=True),
    Column("cluster_uid", ForeignKey("clusters.uid"), nullable=False, index=True),
    Column("organization", String(63), nullable=False),
    Column("project", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("cluster", String(63), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("namespace", String(63), nullable=False),
    Column("state", String(20), nullable=False),
    Column("conditions", JSON, nullable=False),
    Column("protected", Boolean, nullable=False, server_default=false()),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    UniqueConstraint("organization", "project", "environment"),
    UniqueConstraint("cluster_uid", "namespace"),
)

# Each pair once, whichever side made it: `pair` is both uids in order.
environment_links = Table(
    "environment_links",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column(
        "environment_uid",
        ForeignKey("environments.uid", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column(
        "peer_uid", ForeignKey("environments.uid", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("pair", String(53), nullable=False, unique=True),
    Column("create_time", UtcDateTime, nullable=False),
)

apps = Table(
    "apps",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("environment_uid", ForeignKey("environments.uid"), nullable=False, index=True),
    Column("cluster_uid", ForeignKey("clusters.uid"), nullable=False, index=True),
    Column("organization", String(63), nullable=False),
    Column("project", String(63), nullable=False),
    Column("environment", String(63), nullable=False),
    Column("app", String(63), nullable=False),
    Column("cluster", String(63), nullable=False),
    Column("state", String(20), nullable=False),
    Column("conditions", JSON, nullable=False),
    Column("wanted_revision", BigInteger, nullable=False),
    Column("serving_revision", BigInteger, nullable=False),
    Column("services", JSON, nullable=False),
    Column("observe_time", UtcDateTime),
    Column("generation", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    UniqueConstraint("organization", "project", "environment", "app"),
)

revisions = Table(
    "revisions",
    metadata,
    Column("app_uid", ForeignKey("apps.uid", ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("compose_files", JSON, nullable=False),
    Column("was_ready", Boolean, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    # Where each variable came from; the values are all in one box.
    Column("variable_sources", JSON, nullable=False, server_default="[]"),
    Column("variables_key_id", String(40), index=True),
    Column("variables_box", LargeBinary),
)

# Scopes are names: what they name may be made later (an app). Values are in the boxes, encrypted.
variables = Table(
    "variables",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("key", String(128), nullable=False),
    Column("secret", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("key_id", String(40), nullable=False, index=True),
    Column("box", LargeBinary, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    UniqueConstraint("scope", "key"),
)

revision_files = Table(
    "revision_files",
    metadata,
    Column("app_uid", String(26), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("path", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    ForeignKeyConstraint(
        ["app_uid", "revision"], ["revisions.app_uid", "revisions.revision"], ondelete="CASCADE"
    ),
)

deployments = Table(
    "deployments",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("app_uid", ForeignKey("apps.uid", ondelete="CASCADE"), nullable=False),
    Column("app_name", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("phase", String(20), nullable=False),
    Column("message", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("services", JSON, nullable=False),
    Column("diagnostics", JSON, nullable=False),
    Column("objects_applied", Integer, nullable=False),
    Column("objects_total", Integer, nullable=False),
    Column("operation_uid", String(26), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime),
    Index(None, "app_uid", "uid"),
)

# Operations outlive what they worked on, so nothing here refers to other tables.
operations = Table(
    "operations",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("target", Text, nullable=False, index=True),
    Column("kind", String(40), nullable=False),
    Column("cluster_uid", String(26), nullable=False),
    Column("cluster", String(63), nullable=False),
    Column("done", Boolean, nullable=False),
    Column("error", JSON(none_as_null=True)),
    Column("message", Text, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("update_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime),
    Index(None, "cluster_uid", "done"),
)

commands = Table(
    "commands",
    metadata,
    Column("command_id", String(26), primary_key=True),
    Column("cluster_uid", ForeignKey("clusters.uid", ondelete="CASCADE"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", String(40), nullable=False),
    # The body without what the revision holds: files and variables are read from there when the command is sent.
    Column("body", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("environment_uid", String(26), nullable=False, index=True),
    Column("app_uid", String(26), nullable=False, index=True),
    Column("operation_uid", String(26), nullable=False, index=True),
    Column("deployment_uid", String(26), nullable=False),
    Column("deadline", UtcDateTime),
    Column("cancel_requested", Boolean, nullable=False),
    Column("progress_epoch", BigInteger, nullable=False),
    Column("progress_version", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("finish_time", UtcDateTime),
    # When the agent said how it ended; unset when the control plane closed it by itself and the agent may still work on it.
    Column("result_time", UtcDateTime),
    Column("code", Integer),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    UniqueConstraint("cluster_uid", "seq"),
    Index(None, "cluster_uid", "state", "seq"),
)

add_ons = Table(
    "add_ons",
    metadata,
    Column("cluster_uid", ForeignKey("clusters.uid", ondelete="CASCADE"), primary_key=True),
    Column("add_on", String(63), primary_key=True),
    Column("cluster", String(63), nullable=False),
    Column("version", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("message", Text, nullable=False),
    Column("log_tail", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retry_time", UtcDateTime),
    Column("transition_time", UtcDateTime),
    Column("depends_on", JSON, nullable=False),
)

report_versions = Table(
    "report_versions",
    metadata,
    Column("cluster_uid", ForeignKey("clusters.uid", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime),
    Column("revoke_time", UtcDateTime),
    Column("subject", Text, nullable=False, server_default="users/admin", index=True),
    Column("kind", String(20), nullable=False, server_default="personal"),
    Column("scope", Text, nullable=False, server_default=""),
    Column("permissions", JSON(none_as_null=True)),
    Column("last_use_time", UtcDateTime),
)

setup_codes = Table(
    "setup_codes",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
    Column("use_time", UtcDateTime),
)

second_factors = Table(
    "second_factors",
    metadata,
    Column("user_name", ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("key_id", String(40), nullable=False),
    Column("box", LargeBinary, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("recovery_codes", JSON, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
)

device_logins = Table(
    "device_logins",
    metadata,
    Column("uid", String(26), primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("user_code", String(20), nullable=False, unique=True),
    Column("client", Text, nullable=False),
    Column("address", Text, nullable=False),
    # In seconds.
    Column("interval", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("poll_time", UtcDateTime),
    Column("subject", Text, nullable=False),
    Column("session_end", UtcDateTime),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal", String(100), primary_key=True),
    Column("method", String(200), primary_key=True),
    Column("request_id", String(36), primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("create_time", UtcDateTime, nullable=False, index=True),
)

# Entries are only ever added. The hash covers the entry before, and the newest one is kept in `instance` as well.
audit_entries = Table(
    "audit_entries",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("create_time", UtcDateTime, nullable=False, index=True),
    Column("actor", Text, nullable=False, index=True),
    Column("token", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("resource", Text, nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("result", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

# What watchers have to read again, in the order in which it was committed.
changes = Table(
    "changes",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("uid", String(26), nullable=False),
    Column("name", Text, nullable=False),
    Column("create_time", UtcDateTime, nullable=False, index=True),
    Index(None, "kind", "seq"),
    sqlite_autoincrement=True,
)
