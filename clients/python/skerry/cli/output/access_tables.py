"""The tables of users, roles, tokens and the audit log. Used by their commands."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from skerry import names
from skerry.cli.output import words
from skerry.cli.output.table import Table, cells
from skerry.platform.v1 import (
    audit_pb2,
    member_pb2,
    organization_pb2,
    rule_pb2,
    session_pb2,
    user_pb2,
)


class AccessTables:
    """All tables, as of one moment (ages count from it)."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    @property
    def organizations(self) -> Table[organization_pb2.Organization]:
        return Table(
            ("NAME", "DISPLAY NAME", "AGE"),
            lambda o: cells(names.last(o.name), o.display_name, self._age(o.create_time)),
            "organizations",
        )

    @property
    def users(self) -> Table[user_pb2.User]:
        return Table(
            ("NAME", "DISPLAY NAME", "EMAIL", "STATE", "AGE"),
            lambda u: cells(
                names.last(u.name),
                u.display_name,
                u.email,
                "disabled" if u.disabled else "active",
                self._age(u.create_time),
            ),
            "users",
        )

    @property
    def identities(self) -> Table[user_pb2.Identity]:
        return Table(
            ("ISSUER", "SUBJECT", "LAST LOGIN", "AGE"),
            lambda i: cells(
                i.issuer, i.subject, self._age(i.last_login_time), self._age(i.create_time)
            ),
            "identities",
        )

    @property
    def members(self) -> Table[member_pb2.RoleBinding]:
        return Table(
            ("SUBJECT", "ROLE", "RESOURCE", "AGE"),
            lambda b: cells(b.subject, b.role, b.resource or "-", self._age(b.create_time)),
            "members",
        )

    @property
    def groups(self) -> Table[member_pb2.Group]:
        return Table(
            ("NAME", "DISPLAY NAME", "MEMBERS", "AGE"),
            lambda g: cells(
                names.last(g.name),
                g.display_name,
                ", ".join(names.last(member) for member in g.members),
                self._age(g.create_time),
            ),
            "groups",
        )

    @property
    def roles(self) -> Table[member_pb2.Role]:
        return Table(
            ("NAME", "KIND", "PERMISSIONS"),
            lambda r: cells(
                names.last(r.name),
                "built-in" if r.built_in else "custom",
                ", ".join(permission_word(item) for item in r.permissions),
            ),
            "roles",
        )

    @property
    def service_accounts(self) -> Table[member_pb2.ServiceAccount]:
        return Table(
            ("NAME", "DISPLAY NAME", "AGE"),
            lambda a: cells(names.last(a.name), a.display_name, self._age(a.create_time)),
            "serviceAccounts",
        )

    @property
    def tokens(self) -> Table[session_pb2.Token]:
        return Table(
            ("NAME", "FOR", "KIND", "SCOPE", "EXPIRES", "LAST USED", "AGE"),
            lambda t: cells(
                t.name,
                t.display_name,
                session_pb2.TokenKind.Name(t.kind).removeprefix("TOKEN_KIND_").lower(),
                t.scope,
                _day(t.expire_time) or "never",
                self._age(t.last_use_time),
                self._age(t.create_time),
            ),
            "tokens",
        )

    @property
    def audit(self) -> Table[audit_pb2.AuditEntry]:
        return Table(
            ("NO", "TIME", "WHO", "WHAT", "RESULT", "RESOURCE", "DETAILS", "FROM"),
            lambda e: cells(
                str(e.sequence),
                _second(e.create_time),
                e.actor or "-",
                names.last(e.method),
                e.result,
                e.resource or "-",
                " ".join(f"{key}={value}" for key, value in sorted(e.details.items())),
                e.address,
            ),
            "entries",
        )

    def _age(self, moment: Timestamp) -> str:
        return words.age(moment, self._now)


def permission_word(value: rule_pb2.Permission.ValueType) -> str:
    """`apps.deploy`; the number of one that this client does not know."""
    try:
        name = rule_pb2.Permission.Name(value)
    except ValueError:
        return str(value)
    return name.removeprefix("PERMISSION_").lower().replace("_", ".", 1)


def _day(moment: Timestamp) -> str:
    return f"{moment.ToDatetime():%Y-%m-%d}" if moment.seconds else ""


def _second(moment: Timestamp) -> str:
    return f"{moment.ToDatetime():%Y-%m-%d %H:%M:%S}"
