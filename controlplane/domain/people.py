"""Organizations, users, and the roles that bind them. Stored by `store/people`, kept by `services/organizations` and `services/members`."""

from dataclasses import dataclass, field
from datetime import datetime

from controlplane.domain.access import Permissions
from controlplane.domain.names import OrganizationName
from controlplane.domain.sealing import SealedValue

ADMIN_USER = "users/admin"
OIDC = "oidc"


@dataclass(frozen=True, slots=True)
class Organization:
    """The outermost wall between tenants."""

    uid: str
    name: OrganizationName
    display_name: str
    generation: int
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-{self.generation}"


@dataclass(frozen=True, slots=True)
class User:
    """A person. A disabled one cannot do anything, and can be enabled again."""

    uid: str
    name: str
    display_name: str
    email: str
    disabled: bool
    generation: int
    create_time: datetime
    update_time: datetime
    # Argon2; None when the user has no password.
    password_hash: str | None = field(default=None, repr=False)

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-{self.generation}"


@dataclass(frozen=True, slots=True)
class ExternalIdentity:
    """Somebody as an identity provider knows them. Only issuer and subject say who it is; the rest is what they call themselves."""

    issuer: str
    subject: str
    user_name: str = ""
    display_name: str = ""
    email: str = ""
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """An identity at a provider that logs in as a user."""

    issuer: str
    subject: str
    user: str
    create_time: datetime
    last_login_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """What a user has besides the password; asked for once it is `confirmed`. `last_step` is the newest code that was used."""

    user: str
    sealed: SealedValue
    create_time: datetime
    confirmed: bool = False
    last_step: int = 0
    # SHA-256, in hex.
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RoleMapping:
    """Whoever is in this group of the identity provider has this role there."""

    group: str
    role: str
    scope: str


@dataclass(frozen=True, slots=True)
class OrganizationItem:
    """What groups, custom roles and service accounts have in common; `name` is the whole resource name."""

    uid: str
    name: str
    display_name: str
    generation: int
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-{self.generation}"

    @property
    def organization(self) -> str:
        """Its id."""
        return self.name.split("/")[1]


@dataclass(frozen=True, slots=True)
class Group(OrganizationItem):
    """Users who have roles together."""

    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomRole(OrganizationItem):
    """A set of permissions that an organization made for itself."""

    permissions: Permissions = frozenset()


@dataclass(frozen=True, slots=True)
class ServiceAccount(OrganizationItem):
    """An account for a program; it has tokens and no password."""


@dataclass(frozen=True, slots=True)
class RoleBinding:
    """A subject (`users/anne`, `groups/ops`, `serviceAccounts/ci`) has a role at a scope and everything below."""

    uid: str
    scope: str
    subject: str
    role: str
    create_time: datetime
    # Who gave it: nothing for a person, `OIDC` for the identity provider's groups, as of the last login.
    origin: str = ""
