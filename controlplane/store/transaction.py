"""One transaction with the repositories bound to it: the unit of work that services own."""

from collections.abc import Callable
from datetime import datetime

from controlplane.store.addons import AddOnRepository
from controlplane.store.apps import AppRepository
from controlplane.store.audit import AuditRepository
from controlplane.store.changes import ChangeRepository
from controlplane.store.clusters import (
    AgentIdentityRepository,
    ClusterRepository,
    JoinTokenRepository,
)
from controlplane.store.commands import CommandRepository
from controlplane.store.connection import Connection
from controlplane.store.deployments import DeploymentRepository
from controlplane.store.device_logins import DeviceLoginRepository
from controlplane.store.environment_links import EnvironmentLinkRepository
from controlplane.store.environments import EnvironmentRepository
from controlplane.store.idempotency import IdempotencyRepository
from controlplane.store.identities import IdentityRepository
from controlplane.store.members import (
    CustomRoleRepository,
    GroupRepository,
    ServiceAccountRepository,
)
from controlplane.store.operations import OperationRepository
from controlplane.store.page_tokens import Sealed
from controlplane.store.people import (
    OrganizationRepository,
    RoleBindingRepository,
    UserRepository,
)
from controlplane.store.projects import ProjectRepository
from controlplane.store.revisions import RevisionRepository
from controlplane.store.second_factors import SecondFactorRepository
from controlplane.store.setup_codes import SetupCodeRepository
from controlplane.store.tokens import TokenRepository
from controlplane.store.variables import VariableRepository


class Transaction:
    """Reads see one state of the database; writes happen all or not at all.

    `now` is the time of the transaction, the same for everything it writes.
    """

    def __init__(
        self, connection: Connection, sealed: Sealed, *, writable: bool, now: datetime
    ) -> None:
        self.now = now
        self.changes = ChangeRepository(connection, sealed, writable=writable, now=now)
        self.projects = ProjectRepository(connection, sealed, writable=writable)
        self.environments = EnvironmentRepository(connection, sealed, writable=writable)
        self.environment_links = EnvironmentLinkRepository(connection, sealed, writable=writable)
        self.clusters = ClusterRepository(connection, sealed, self.changes, writable=writable)
        self.join_tokens = JoinTokenRepository(connection, sealed, writable=writable)
        self.agent_identities = AgentIdentityRepository(connection, sealed, writable=writable)
        self.apps = AppRepository(connection, sealed, self.changes, writable=writable)
        self.revisions = RevisionRepository(connection, sealed, writable=writable)
        self.variables = VariableRepository(connection, sealed, writable=writable)
        self.deployments = DeploymentRepository(connection, sealed, self.changes, writable=writable)
        self.operations = OperationRepository(connection, sealed, self.changes, writable=writable)
        self.commands = CommandRepository(
            connection, sealed, self.revisions, writable=writable, now=now
        )
        self.add_ons = AddOnRepository(connection, sealed, self.changes, writable=writable)
        self.organizations = OrganizationRepository(connection, sealed, writable=writable)
        self.users = UserRepository(connection, sealed, self.changes, writable=writable)
        self.bindings = RoleBindingRepository(connection, sealed, self.changes, writable=writable)
        self.groups = GroupRepository(connection, sealed, self.changes, writable=writable)
        self.roles = CustomRoleRepository(connection, sealed, self.changes, writable=writable)
        self.accounts = ServiceAccountRepository(
            connection, sealed, self.changes, writable=writable
        )
        self.identities = IdentityRepository(connection, sealed, writable=writable)
        self.tokens = TokenRepository(connection, sealed, self.changes, writable=writable)
        self.second_factors = SecondFactorRepository(connection, sealed, writable=writable)
        self.setup_codes = SetupCodeRepository(connection, sealed, writable=writable)
        self.device_logins = DeviceLoginRepository(connection, sealed, writable=writable)
        self.idempotency = IdempotencyRepository(connection, sealed, writable=writable)
        self.audit = AuditRepository(connection, sealed, self.changes, writable=writable, now=now)
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once the transaction is durable, even if the task is cancelled meanwhile; it must not raise."""
        self._after_commit.append(call)

    def committed(self) -> None:
        """Run what waits for the commit; for the store only."""
        for call in self._after_commit:
            call()
