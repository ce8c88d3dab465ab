"""Organizations, users, and the roles that bind them. Stored by `store/people`, kept by `services/organizations` and `services/members`."""

from dataclasses import dataclass
from datetime import datetime

from controlplane.domain.names import OrganizationName

ADMIN_USER = "users/admin"


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

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-{self.generation}"


@dataclass(frozen=True, slots=True)
class RoleBinding:
    """A subject (`users/anne`, `groups/ops`, `serviceAccounts/ci`) has a role at a scope and everything below."""

    uid: str
    scope: str
    subject: str
    role: str
    create_time: datetime
