"""A whole control plane core on a real database, with agents that tests play by hand."""

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher

from controlplane.auth.guessing import GuessGuard
from controlplane.auth.passwords import Passwords
from controlplane.domain.apps import Bundle, DeployStarted, SourceFile
from controlplane.domain.clusters import AgentIdentity
from controlplane.domain.commands import (
    Command,
    CommandOutcome,
    CommandProgress,
    DeployProgress,
)
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import StatusCode
from controlplane.domain.ids import UlidSource
from controlplane.domain.names import (
    AppName,
    ClusterName,
    EnvironmentName,
    OrganizationName,
    ProjectName,
)
from controlplane.domain.requests import IdempotencyKey
from controlplane.domain.tokens import Principal
from controlplane.keyring.keyring import Keyring
from controlplane.services.access import AccessService
from controlplane.services.addons import AddOnService
from controlplane.services.agent_identities import AgentIdentities
from controlplane.services.agent_sessions import AgentSessionService
from controlplane.services.apps import AppService
from controlplane.services.changes import ChangeHub
from controlplane.services.clusters import ClusterService
from controlplane.services.deployments import DeploymentService
from controlplane.services.device_logins import DeviceLoginService
from controlplane.services.enrolment import EnrolmentService
from controlplane.services.environment_links import EnvironmentLinkService
from controlplane.services.environments import EnvironmentService
from controlplane.services.groups import GroupService
from controlplane.services.housekeeping import Housekeeping
from controlplane.services.logs import LogService
from controlplane.services.members import MemberService
from controlplane.services.operations import OperationService
from controlplane.services.organizations import OrganizationService
from controlplane.services.presence import Presence
from controlplane.services.projects import ProjectService
from controlplane.services.roles import RoleService
from controlplane.services.second_factors import SecondFactorService
from controlplane.services.service_accounts import ServiceAccountService
from controlplane.services.sessions import SessionService
from controlplane.services.setup import SetupService
from controlplane.services.terminals import TerminalService
from controlplane.services.token_maker import TokenMaker
from controlplane.services.users import UserService
from controlplane.services.variables import VariableService
from controlplane.store.database import Store
from controlplane.store.migrations.run import migrate
from tests.fakes.agents import FakeAgents, FakeAuthority
from tests.fakes.clock import FakeClock

ORGANIZATION = OrganizationName("default")
PROJECT = ProjectName("default", "shop")
PROD = EnvironmentName("default", "shop", "prod")
WEB = AppName("default", "shop", "prod", "web")
HOME = ClusterName("home")
ANNE = Principal("tokens/anne", "Anne")


class World:
    """Everything `app.py` builds, minus the network."""

    def __init__(self, path: Path, clock: FakeClock | None = None) -> None:
        self.path = path
        self.clock = clock or FakeClock()
        self.hub = ChangeHub()
        counter = itertools.count()
        self.ids = UlidSource(self.clock, lambda n: next(counter).to_bytes(n, "big"))
        self.agents = FakeAgents()
        self.ca = FakeAuthority(self.clock)
        self.keyring = Keyring.create(path.with_name("keyring.json"), self.clock.now())
        self.store = Store(path, clock=self.clock, on_commit=self.hub.publish)
        store, clk, ids, hub, agents = self.store, self.clock, self.ids, self.hub, self.agents
        self.presence = presence = Presence(store=store, clock=clk, links=self.agents.link)
        self.housekeeping = Housekeeping(store=store, clock=clk)
        self.access = AccessService(store=store, clock=clk, ids=ids)
        self.passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.guard = GuessGuard(clk)
        token_maker = TokenMaker(ids)
        self.users = UserService(store=store, ids=ids, passwords=self.passwords)
        self.setup = SetupService(store=store, ids=ids, passwords=self.passwords)
        self.second_factors = SecondFactorService(
            store=store, cipher=self.keyring, passwords=self.passwords, guard=self.guard
        )
        self.logins = SessionService(
            store=store,
            tokens=token_maker,
            passwords=self.passwords,
            guard=self.guard,
            second_factors=self.second_factors,
        )
        self.device_logins = DeviceLoginService(store=store, ids=ids, guard=self.guard)
        self.members = MemberService(store=store, ids=ids)
        self.groups = GroupService(store=store, ids=ids)
        self.roles = RoleService(store=store, ids=ids)
        self.accounts = ServiceAccountService(store=store, ids=ids, tokens=token_maker)
        self.organizations = OrganizationService(store=store, ids=ids)
        self.projects = ProjectService(store=store, clock=clk, ids=ids)
        self.clusters = ClusterService(
            store=store, clock=clk, ids=ids, presence=presence, agents=agents, hub=hub
        )
        self.enrolment = EnrolmentService(
            store=store, clock=clk, ca=self.ca, agents=agents, presence=presence
        )
        self.environments = EnvironmentService(
            store=store, clock=clk, ids=ids, presence=presence, agents=agents
        )
        self.environment_links = EnvironmentLinkService(
            store=store, ids=ids, presence=presence, agents=agents
        )
        self.apps = AppService(
            store=store,
            clock=clk,
            ids=ids,
            presence=presence,
            agents=agents,
            hub=hub,
            cipher=self.keyring,
        )
        self.variables = VariableService(store=store, ids=ids, cipher=self.keyring)
        self.deployments = DeploymentService(store=store, clock=clk, hub=hub)
        self.operations = OperationService(
            store=store, clock=clk, ids=ids, presence=presence, agents=agents, hub=hub
        )
        self.add_ons = AddOnService(store=store, clock=clk, hub=hub)
        self.logs = LogService(store=store, clock=clk, presence=presence, agents=agents)
        self.terminals = TerminalService(
            store=store, clock=clk, ids=ids, presence=presence, agents=agents
        )
        self.identities = AgentIdentities(
            store=store, clock=clk, ca=self.ca, agents=agents, presence=presence
        )
        self.sessions = AgentSessionService(
            store=store,
            clock=clk,
            presence=presence,
            identities=self.identities,
            cipher=self.keyring,
        )

    async def start(self) -> None:
        migrate(self.path)
        await self.store.open()
        await self.presence.load()

    async def stop(self) -> None:
        await self.terminals.close()
        await self.store.close()

    async def restarted(self) -> "World":
        """The same database after the process died: nothing in memory survives."""
        await self.stop()
        # Time goes on meanwhile, so that no id is made twice.
        self.clock.advance(0.001)
        world = World(self.path, self.clock)
        await world.start()
        return world

    async def joined_cluster(self, name: ClusterName = HOME) -> "Agent":
        """A cluster with an agent that enrolled but is not connected."""
        await self.clusters.create_cluster(name.cluster)
        return await self.enrol(name)

    async def enrol(self, name: ClusterName = HOME) -> "Agent":
        token = await self.clusters.create_join_token(name)
        enrolment = await self.enrolment.enroll(token.secret, b"csr" + token.secret, "1.0")
        identity = await self.sessions.authenticate(enrolment.certificate_der)
        return Agent(self, identity, certificate=enrolment.certificate_der)

    async def environment(self, name: EnvironmentName = PROD) -> None:
        """A project and an environment in it."""
        await self.projects.create_project(ORGANIZATION, name.project)
        await self.environments.create_environment(name.parent, name.environment)

    async def environment_on_home(self) -> None:
        """The same, with the cluster that it needs."""
        await self.joined_cluster()
        await self.environment()

    async def deployed(self) -> tuple["Agent", DeployStarted]:
        """A connected agent and a first deploy that it has not taken yet; the environment stands."""
        agent = await self.joined_cluster()
        await agent.connect()
        await self.environment()
        for command in await agent.take():
            await agent.finish(command)
        return agent, await self.apps.deploy_app(PROD, "web", bundle())


@dataclass
class Agent:
    """The agent of a cluster, played by the test."""

    world: World
    identity: AgentIdentity
    epoch: int = 0
    taken: int = 0
    certificate: bytes = b""

    @property
    def uid(self) -> str:
        return self.identity.cluster_uid

    async def connect(self, after_seq: int | None = None) -> Sequence[Command]:
        """Connect, and get what is behind the journal's last command."""
        self.world.agents.online.add(self.uid)
        self.epoch = await self.world.sessions.connected(
            self.identity, agent_version="1.0", boot_id="b"
        )
        if after_seq is not None:
            self.taken = after_seq
        return await self.take() if after_seq is not None else ()

    async def disconnect(self) -> None:
        self.world.agents.online.discard(self.uid)
        await self.world.sessions.disconnected(self.uid, self.epoch, "LOST")

    async def take(self) -> Sequence[Command]:
        commands = await self.world.sessions.pending_commands(self.uid, self.taken)
        if commands:
            self.taken = commands[-1].seq
        return commands

    async def progress(
        self, command: Command, phase: DeploymentPhase, version: int = 1, message: str = "going on"
    ) -> None:
        deploy = DeployProgress(phase, (), (), version, 9)
        await self.world.sessions.progressed(
            self.uid,
            self.epoch,
            CommandProgress(command.seq, command.command_id, version, message, deploy),
        )

    async def finish(
        self,
        command: Command,
        code: StatusCode = StatusCode.OK,
        reason: str = "",
        message: str = "",
    ) -> None:
        await self.world.sessions.finished(
            self.uid,
            self.epoch,
            CommandOutcome(command.seq, command.command_id, code, reason, message, None),
        )


def bundle(text: str = "services: {}\n", **variables: str) -> Bundle:
    return Bundle(("compose.yaml",), (SourceFile("compose.yaml", text.encode()),), variables)


def key(method: str = "m", request: str = "r", uid: int = 1) -> IdempotencyKey:
    return IdempotencyKey(ANNE.name, method, str(uuid.UUID(int=uid)), request.encode())
