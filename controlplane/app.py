"""The composition root: the only place that constructs things, top to bottom. Called by `__main__` and by the tests."""

import asyncio
import contextlib
import fcntl
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from skerry.setup_link import SetupLink
from skerry.version import VERSION
from starlette.applications import Starlette

from controlplane.api import registrations
from controlplane.api.apps import AppServicer
from controlplane.api.audit import AuditServicer
from controlplane.api.clusters import ClusterServicer
from controlplane.api.deployments import DeploymentServicer
from controlplane.api.device_logins import DeviceLoginServicer
from controlplane.api.environment_links import EnvironmentLinkServicer
from controlplane.api.environments import EnvironmentServicer
from controlplane.api.interceptors import call as calls
from controlplane.api.interceptors.audit import Audit
from controlplane.api.interceptors.authorization import Authorization
from controlplane.api.interceptors.limits import SizeLimit
from controlplane.api.interceptors.rates import Rate, RateLimit
from controlplane.api.logs import LogServicer
from controlplane.api.members import MemberServicer
from controlplane.api.operations import OperationServicer
from controlplane.api.organizations import OrganizationServicer
from controlplane.api.projects import ProjectServicer
from controlplane.api.server import (
    API_OPTIONS,
    GrpcServer,
    Interceptors,
    tls_credentials,
    with_limits,
)
from controlplane.api.server_info import ServerServicer
from controlplane.api.sessions import SessionServicer
from controlplane.api.terminals import TerminalServicer
from controlplane.api.users import UserServicer
from controlplane.api.variables import VariableServicer
from controlplane.auth.authenticator import Authenticator
from controlplane.auth.guessing import GuessGuard
from controlplane.auth.oidc import OidcConfig, OidcProvider
from controlplane.auth.passwords import Passwords
from controlplane.background import Background
from controlplane.domain.clock import Clock, SystemClock
from controlplane.domain.errors import SkerryError
from controlplane.domain.ids import UlidSource
from controlplane.domain.terminals import TerminalLimits
from controlplane.edge import routes
from controlplane.edge.cookies import Cookies
from controlplane.edge.devices import PATH as DEVICE_PATH
from controlplane.edge.devices import Devices
from controlplane.edge.server import EdgeServer
from controlplane.edge.sign_in import SignIn
from controlplane.keyring.errors import KeyringError
from controlplane.keyring.keyring import Keyring
from controlplane.link.enrollment import EnrollmentServicer
from controlplane.link.metrics import PrometheusLinkMetrics
from controlplane.link.registry import AgentRegistry
from controlplane.link.servicer import LinkServicer
from controlplane.link.transport import SERVER_OPTIONS as AGENT_OPTIONS
from controlplane.pki import files
from controlplane.pki.authorities import Authorities
from controlplane.pki.authority import ServerIdentity
from controlplane.pki.errors import KeyMaterialError, PkiError, RotationError
from controlplane.pki.given import GivenCertificate
from controlplane.pki.server_certificate import ServerCertificate
from controlplane.services.access import AccessService
from controlplane.services.addons import AddOnService
from controlplane.services.agent_identities import AgentIdentities
from controlplane.services.agent_sessions import AgentSessionService
from controlplane.services.apps import AppService
from controlplane.services.audit import AuditService
from controlplane.services.authorization import Authorizer
from controlplane.services.certificates import AgentCertificates
from controlplane.services.changes import ChangeHub
from controlplane.services.checks import CheckService
from controlplane.services.clusters import ClusterService
from controlplane.services.deployments import DeploymentService
from controlplane.services.device_logins import DeviceLoginService
from controlplane.services.enrolment import EnrolmentService
from controlplane.services.environment_links import EnvironmentLinkService
from controlplane.services.environments import EnvironmentService
from controlplane.services.external_logins import ExternalLoginService
from controlplane.services.groups import GroupService
from controlplane.services.housekeeping import Housekeeping
from controlplane.services.logs import LogService
from controlplane.services.members import MemberService
from controlplane.services.operations import OperationService
from controlplane.services.organizations import OrganizationService
from controlplane.services.presence import Presence
from controlplane.services.projects import ProjectService
from controlplane.services.reencryption import Reencrypted, Reencryption, Usage
from controlplane.services.roles import RoleService
from controlplane.services.second_factors import SecondFactorService
from controlplane.services.service_accounts import ServiceAccountService
from controlplane.services.sessions import SessionService
from controlplane.services.setup import TTL as SETUP_TTL
from controlplane.services.setup import SetupService
from controlplane.services.terminals import TerminalService
from controlplane.services.token_maker import TokenMaker
from controlplane.services.users import UserService
from controlplane.services.variables import VariableService
from controlplane.settings import Address, Settings
from controlplane.store.database import Store
from controlplane.store.key_usage import key_usage
from controlplane.store.migrations.run import migrate

log = structlog.get_logger(__name__)

_RENEWAL_CHECK_SECONDS = 3600.0
_AUTHORITY_CHECK_SECONDS = 2.0


class StartError(Exception):
    """The control plane cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Running:
    """A control plane that serves.

    `setup_link` is set as long as nobody ever got in, the only time that it can be seen, unless the settings ask for a token in a file.
    `drain` ends the calls in peace, within the settings' time; `cut` ends them at once, also while `drain` waits.
    """

    api_port: int
    agent_port: int
    edge_port: int
    ca_pem: bytes
    setup_link: str | None
    drain: Callable[[], Awaitable[None]]
    cut: Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def running(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Running]:
    """Builds everything, serves inside the block, and takes everything down behind it.

    Raises StartError, ListenError, KeyMaterialError or StorageUnavailable when it cannot start. A background task that dies
    ends the block with BackgroundTaskDied.
    """
    clock = clock or SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        # What is on disk. The folder is locked first: two processes on one database would not see each other's changes.
        stack.enter_context(_only_one(settings.data_dir))
        keyring = await asyncio.to_thread(open_keyring, settings, clock)
        await asyncio.to_thread(migrate, settings.database_path, keyring)
        authorities = Authorities.open(settings.pki_dir, clock=clock.now)
        certificate = ServerCertificate(
            authorities,
            settings.pki_dir,
            names=settings.server_names(),
            ttl=settings.server_certificate_ttl,
            clock=clock.now,
        )
        hub = ChangeHub()
        store = Store(
            settings.database_path, clock=clock, on_commit=hub.publish, action=calls.action
        )
        stack.push_async_callback(store.close)
        await store.open()

        # The use cases, and the live agents that they ask.
        ids = UlidSource(clock)
        agents = AgentRegistry()
        presence = Presence(
            store=store,
            clock=clock,
            links=agents.link,
            certificate_life=settings.agent_certificate_ttl,
        )
        await presence.load()
        housekeeping = Housekeeping(store=store, clock=clock)
        certificates = AgentCertificates(
            authorities,
            ttl=settings.agent_certificate_ttl,
            grace=settings.agent_certificate_grace,
            clock=clock,
        )
        identities = AgentIdentities(
            store=store, clock=clock, ca=certificates, agents=agents, presence=presence
        )
        access = AccessService(store=store, clock=clock, ids=ids)
        passwords = Passwords()
        token_maker = TokenMaker(ids)
        users = UserService(store=store, ids=ids, passwords=passwords)
        guard = GuessGuard(clock)
        setup = SetupService(store=store, ids=ids, passwords=passwords)
        second_factors = SecondFactorService(
            store=store, cipher=keyring, passwords=passwords, guard=guard
        )
        logins = SessionService(
            store=store,
            tokens=token_maker,
            passwords=passwords,
            guard=guard,
            second_factors=second_factors,
        )
        device_logins = DeviceLoginService(store=store, ids=ids, guard=guard)
        members = MemberService(store=store, ids=ids)
        groups = GroupService(store=store, ids=ids)
        roles = RoleService(store=store, ids=ids)
        accounts = ServiceAccountService(store=store, ids=ids, tokens=token_maker)
        organizations = OrganizationService(store=store, ids=ids)
        projects = ProjectService(store=store, clock=clock, ids=ids)
        clusters = ClusterService(
            store=store, clock=clock, ids=ids, presence=presence, agents=agents, hub=hub
        )
        enrolment = EnrolmentService(
            store=store, clock=clock, ca=certificates, agents=agents, presence=presence
        )
        environments = EnvironmentService(
            store=store, clock=clock, ids=ids, presence=presence, agents=agents
        )
        environment_links = EnvironmentLinkService(
            store=store, ids=ids, presence=presence, agents=agents
        )
        apps = AppService(
            store=store,
            clock=clock,
            ids=ids,
            presence=presence,
            agents=agents,
            hub=hub,
            cipher=keyring,
        )
        checks = CheckService(store=store, presence=presence, agents=agents, cipher=keyring)
        variables = VariableService(store=store, ids=ids, cipher=keyring)
        deployments = DeploymentService(store=store, clock=clock, hub=hub)
        operations = OperationService(
            store=store, clock=clock, ids=ids, presence=presence, agents=agents, hub=hub
        )
        add_ons = AddOnService(store=store, clock=clock, hub=hub)
        logs = LogService(store=store, clock=clock, presence=presence, agents=agents)
        terminals = TerminalService(
            store=store,
            clock=clock,
            ids=ids,
            presence=presence,
            agents=agents,
            limits=TerminalLimits(
                per_user=settings.terminals_per_user,
                per_cluster=settings.terminals_per_cluster,
                detached_seconds=settings.terminal_detached_life.total_seconds(),
            ),
        )
        sessions = AgentSessionService(
            store=store, clock=clock, presence=presence, identities=identities, cipher=keyring
        )

        # The listeners. Ports are taken before anything runs, so that a taken one is an error and not half a start.
        metrics = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=metrics)
        loop = asyncio.get_running_loop()
        Gauge(
            "skerry_controlplane_tasks",
            "Tasks of the event loop; they should not grow with time.",
            registry=metrics,
        ).set_function(lambda: len(asyncio.all_tasks(loop)))
        authorization = Authorization(
            Authorizer(store=store, terminal_app=terminals.app_of),
            again=access.again,
            hub=hub,
            clock=clock,
        )
        audit = AuditService(store=store, clock=clock, hub=hub)
        interceptors = Interceptors(
            audit=Audit(audit, clock),
            authenticator=Authenticator(access),
            authorization=authorization,
            registry=metrics,
            clock=clock,
            size_limit=SizeLimit(settings.max_request_bytes),
            rate_limit=RateLimit(
                Rate(settings.calls_per_second, settings.calls_at_once),
                Rate(settings.unknown_calls_per_second, settings.unknown_calls_at_once),
                monotonic=time.monotonic,
            ),
        )
        agent_server = GrpcServer(
            registrations.agents(
                enrollment=EnrollmentServicer(enrolment),
                link=LinkServicer(
                    sessions=sessions,
                    registry=agents,
                    clock=clock,
                    metrics=PrometheusLinkMetrics(metrics),
                ),
            ),
            interceptors=interceptors,
            options=AGENT_OPTIONS,
        )
        agent_port = agent_server.bind(
            str(settings.agent_listen), tls_credentials(lambda: certificate.current)
        )
        agent_address = settings.advertised(agent_port)
        api_server = GrpcServer(
            registrations.platform(
                audit=AuditServicer(audit),
                apps=AppServicer(apps, checks),
                clusters=ClusterServicer(
                    clusters,
                    add_ons,
                    identities,
                    agent_address=agent_address,
                    ca_der=lambda: authorities.certificate_der,
                ),
                deployments=DeploymentServicer(deployments),
                device_logins=DeviceLoginServicer(
                    device_logins,
                    verification_uri=f"{settings.public_url.rstrip('/')}{DEVICE_PATH}"
                    if settings.public_url
                    else "",
                ),
                environment_links=EnvironmentLinkServicer(environment_links),
                environments=EnvironmentServicer(environments),
                logs=LogServicer(logs),
                operations=OperationServicer(operations),
                organizations=OrganizationServicer(organizations),
                projects=ProjectServicer(projects),
                server=ServerServicer(version=VERSION, agent_address=agent_address, clock=clock),
                members=MemberServicer(members, groups, roles, accounts),
                sessions=SessionServicer(logins, setup, second_factors),
                terminals=TerminalServicer(terminals),
                users=UserServicer(users, second_factors),
                variables=VariableServicer(variables),
            ),
            interceptors=interceptors,
            options=with_limits(API_OPTIONS, interceptors.size_limit),
            reflection=True,
        )
        api_identity = _api_identity(settings, certificate)
        api_port = api_server.bind(
            str(settings.api_listen),
            tls_credentials(api_identity) if settings.api_tls else None,
        )

        provider = _identity_provider(settings, clock)
        cookies = Cookies(clock, secure=settings.public_url.startswith("https:"))
        pages = Devices(
            logins=device_logins,
            authenticate=access.authenticate,
            audit=audit,
            cookies=cookies,
            single_sign_on=provider is not None,
        ).routes()
        if provider is not None:
            pages += SignIn(
                provider=provider,
                logins=ExternalLoginService(
                    store=store,
                    ids=ids,
                    mappings=settings.oidc_role_mappings,
                    create_users=settings.oidc_create_users,
                ),
                sessions=logins,
                authenticate=access.authenticate,
                audit=audit,
                guard=guard,
                cookies=cookies,
            ).routes()

        async def is_serving() -> None:
            interceptors.drain.check()

        edge = _bind_edge(
            settings.edge_listen,
            routes.build(
                checks={"database": store.check, "serving": is_serving},
                registry=metrics,
                more=pages,
            ),
        )
        stack.callback(edge.close)

        # Not before the ports are ours: a start that fails must not use up the one time that a secret is shown.
        setup_link = None
        if settings.admin_token_file is not None:
            await _first_admin_token(access, settings.admin_token_file)
        elif (code := await setup.first_code()) is not None:
            setup_link = _setup_link(settings, authorities, code, api_port)

        # Everything runs from here on; what dies takes the rest with it.
        background = await stack.enter_async_context(Background())
        background.start(presence.run(), name="presence")
        background.start(authorization.watch(), name="open-streams")
        background.start(housekeeping.run(), name="housekeeping")
        background.start(_renew(certificate, clock), name="certificate-renewal")
        background.start(
            _follow(authorities, certificate, identities, clock), name="authority-rotation"
        )
        stack.push_async_callback(terminals.close)
        servers = (api_server, agent_server)
        for server in servers:
            stack.push_async_callback(server.stop, None)
            await server.start()
        # Last: /readyz says yes only when the ports behind it answer.
        serving_edge = background.start(edge.run(), name="edge")

        async def stop_edge() -> None:
            background.ending()
            edge.stop()
            await asyncio.wait({serving_edge})

        stack.push_async_callback(stop_edge)

        async def drain() -> None:
            for server in servers:
                await server.announce_end()
            interceptors.drain.begin()
            await agents.drain()
            await terminals.close()
            grace = settings.drain_timeout.total_seconds()
            await asyncio.gather(*(server.stop(grace) for server in servers))

        async def cut() -> None:
            await asyncio.gather(*(server.stop(0) for server in servers))

        log.info(
            "serving",
            version=VERSION,
            api=str(Address(settings.api_listen.host, api_port)),
            agents=str(Address(settings.agent_listen.host, agent_port)),
            edge=str(Address(settings.edge_listen.host, edge.port)),
            agent_address=agent_address,
            tls=settings.api_tls,
        )
        yield Running(
            api_port=api_port,
            agent_port=agent_port,
            edge_port=edge.port,
            ca_pem=authorities.current.certificate_pem,
            setup_link=setup_link,
            drain=drain,
            cut=cut,
        )


async def serve(settings: Settings, *, started: Callable[[Running], None]) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal cuts the drain short."""
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        async with running(settings) as control_plane:
            started(control_plane)
            received = await signals.get()
            log.info("draining", signal=received.name)
            async with asyncio.TaskGroup() as tasks:
                drain = tasks.create_task(_awaited(control_plane.drain()), name="drain")
                again = tasks.create_task(signals.get(), name="second-signal")
                await asyncio.wait({drain, again}, return_when=asyncio.FIRST_COMPLETED)
                if not drain.done():
                    log.warning("cutting", signal=again.result().name)
                    await control_plane.cut()
                    drain.cancel()
                again.cancel()
        log.info("stopped")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def create_token(settings: Settings, name: str, *, ttl: timedelta | None) -> str:
    """Makes an API token in the database, which a control plane may be serving meanwhile. Raises StorageUnavailable, InvalidField,
    StartError."""
    clock = SystemClock()
    async with _beside(settings, clock) as (store, _keyring):
        access = AccessService(store=store, clock=clock, ids=UlidSource(clock))
        return await access.create_token(name, ttl=ttl)


def migrate_database(settings: Settings) -> None:
    """Brings the database to this version's tables. Raises StorageUnavailable, StartError."""
    migrate(settings.database_path, open_keyring(settings, SystemClock()))


def open_keyring(settings: Settings, clock: Clock) -> Keyring:
    """The keyring; made on the first start. Raises StartError when it is missing and something is encrypted with it, or is unusable."""
    path = settings.keyring_path
    try:
        if not path.exists() and key_usage(settings.database_path):
            raise StartError(
                f"the keyring {path} is missing, and the database has values that are encrypted with it: restore it from a backup. "
                "If it is lost, make a new one with `skerry-controlplane keys create --lost` and set all secrets again"
            )
        return Keyring.create(path, clock.now())
    except KeyringError as error:
        raise StartError(str(error)) from error


def create_keyring(settings: Settings) -> Keyring:
    """Makes a keyring although values may be encrypted with one that is lost. Raises KeyringError."""
    if settings.keyring_path.exists():
        raise KeyringError(f"{settings.keyring_path} is there already")
    return Keyring.create(settings.keyring_path, SystemClock().now())


async def keys_in_use(settings: Settings) -> tuple[Keyring, Mapping[str, Usage]]:
    """The keyring, and what is encrypted with which key. Raises StorageUnavailable, StartError."""
    async with _beside(settings, SystemClock()) as (store, keyring):
        return keyring, await Reencryption(store=store, cipher=keyring).usage()


async def reencrypt(settings: Settings) -> Reencrypted:
    """Encrypts everything with the newest key. Raises StorageUnavailable, StartError."""
    async with _beside(settings, SystemClock()) as (store, keyring):
        return await Reencryption(store=store, cipher=keyring).reencrypt()


async def retire_key(settings: Settings, key_id: str) -> None:
    """Takes a key out of the keyring. Raises ResourceInUse, KeyringError, StorageUnavailable, StartError."""
    async with _beside(settings, SystemClock()) as (store, keyring):
        await Reencryption(store=store, cipher=keyring).retire(key_id)


@contextlib.asynccontextmanager
async def _beside(settings: Settings, clock: Clock) -> AsyncIterator[tuple[Store, Keyring]]:
    """The database and the keyring, which a control plane may be using meanwhile."""
    keyring = await asyncio.to_thread(open_keyring, settings, clock)
    await asyncio.to_thread(migrate, settings.database_path, keyring)
    store = Store(settings.database_path, clock=clock, on_commit=lambda _topics: None)
    try:
        await store.open()
        yield store, keyring
    finally:
        await store.close()


async def make_setup_link(settings: Settings, *, ttl: timedelta | None) -> str:
    """Makes a setup link, which a control plane may be serving meanwhile; those before are worthless. Raises StorageUnavailable, PkiError."""
    clock = SystemClock()
    authorities = Authorities.open(settings.pki_dir, clock=clock.now)
    async with _beside(settings, clock) as (store, _keyring):
        setup = SetupService(store=store, ids=UlidSource(clock), passwords=Passwords())
        code = await setup.new_code(ttl or SETUP_TTL)
        return _setup_link(settings, authorities, code, settings.api_listen.port)


async def begin_ca_rotation(settings: Settings) -> None:
    """Makes the next authority; a serving control plane goes on from there by itself. Raises PkiError."""
    await asyncio.to_thread(
        lambda: Authorities.open(settings.pki_dir, clock=SystemClock().now).begin()
    )


async def finish_ca_rotation(settings: Settings, *, force: bool) -> list[str]:
    """Puts the next authority in place; the clusters whose agents must join again, with `force` only. Raises PkiError, StorageUnavailable."""
    clock = SystemClock()
    authorities = Authorities.open(settings.pki_dir, clock=clock.now)
    if authorities.next is None:
        authorities.finish()  # says that there is nothing to finish
    behind = await _clusters_behind(settings, authorities, clock)
    if behind and not force:
        raise RotationError(
            f"the agents of {', '.join(behind)} have no certificate of the new CA yet. Wait until they were connected, "
            "revoke what will not come back (`skerry cluster revoke`), or add --force: then they must join again"
        )
    await asyncio.to_thread(authorities.finish)
    return behind


async def _clusters_behind(settings: Settings, authorities: Authorities, clock: Clock) -> list[str]:
    fingerprint = authorities.signing.fingerprint
    async with _beside(settings, clock) as (store, _keyring), store.reading() as tx:
        uids = [
            record.cluster_uid
            for record in await tx.agent_identities.active()
            if record.used_authority != fingerprint
        ]
        return sorted(str(found.name) for found in (await tx.clusters.get_many(uids)).values())


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable


@contextlib.contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Holds the data folder for this process."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data_dir / "serve.lock").open("w")
    except OSError as error:
        raise StartError(
            f"the data folder {data_dir} cannot be used: {error.strerror}; choose another with --data-dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(
                f"another control plane runs on {data_dir}: stop it, or choose another folder with --data-dir"
            ) from error
        yield


def _bind_edge(address: Address, application: Starlette) -> EdgeServer:
    try:
        return EdgeServer(application, host=address.host, port=address.port)
    except OSError as error:
        raise StartError(f"cannot listen on {address}: {error.strerror}") from error


def _api_identity(
    settings: Settings, certificate: ServerCertificate
) -> Callable[[], ServerIdentity]:
    """What the API shows: the operator's own certificate, or ours."""
    if settings.api_certificate_file and settings.api_key_file:
        given = GivenCertificate(settings.api_certificate_file, settings.api_key_file)
        return lambda: given.current
    return lambda: certificate.current


def _identity_provider(settings: Settings, clock: Clock) -> OidcProvider | None:
    """The one for single sign-on, if there is one. Raises StartError when its files cannot be read."""
    if not settings.oidc_issuer or settings.oidc_client_secret_file is None:
        return None
    try:
        secret = settings.oidc_client_secret_file.read_text(encoding="utf-8").strip()
        config = OidcConfig(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=secret,
            redirect_uri=f"{settings.public_url.rstrip('/')}/auth/oidc/callback",
            scopes=settings.oidc_scopes,
            groups_claim=settings.oidc_groups_claim,
            ca_file=settings.oidc_ca_file,
        )
        return OidcProvider(config, clock)
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"single sign-on cannot be set up: {error}") from error


def _setup_link(settings: Settings, authorities: Authorities, code: str, api_port: int) -> str:
    """What to paste into `skerry login --setup`. It carries our CA, unless the API shows a certificate of the operator's."""
    ours = settings.api_tls and settings.api_certificate_file is None
    return SetupLink(
        server=settings.api_advertised(api_port),
        code=code,
        ca_pem=authorities.current.certificate_pem if ours else b"",
        tls=settings.api_tls,
    ).encode()


async def _first_admin_token(access: AccessService, file: Path) -> None:
    """Makes the admin token on the first start, into the file."""
    token = await access.ensure_admin_token()
    if token is None:
        return
    try:
        files.write_atomically(file, f"{token}\n".encode(), mode=0o600)
    except KeyMaterialError as error:
        raise StartError(
            f"the admin token was made but could not be kept: {error}. "
            "Make another with `skerry-controlplane token create --name admin`"
        ) from error
    log.info("admin_token_written", file=str(file))


async def _renew(certificate: ServerCertificate, clock: Clock) -> None:
    """Keeps the server certificate fresh; the listeners show a new one at the next handshake."""
    while True:
        await clock.sleep(_RENEWAL_CHECK_SECONDS)
        try:
            if await asyncio.to_thread(certificate.renew):
                log.info("server_certificate_renewed")
        except KeyMaterialError as error:
            # A full disk, say: two thirds of the life are gone, one third is left to try again.
            log.error("server_certificate_not_renewed", error=str(error))


async def _follow(
    authorities: Authorities,
    certificate: ServerCertificate,
    identities: AgentIdentities,
    clock: Clock,
) -> None:
    """Notices what `ca rotate` did to the authorities, also while nothing served, and has servers and agents follow."""
    changed = authorities.next is not None  # a change that was begun before this process
    while True:
        try:
            if changed:
                await asyncio.to_thread(certificate.renew)
                followed = b"" if authorities.next is None else authorities.next.fingerprint
                await identities.renew_all("the control plane changes its CA", unless=followed)
                log.info("ca_changed", under_way=authorities.next is not None)
                changed = False
            await clock.sleep(_AUTHORITY_CHECK_SECONDS)
            changed = await asyncio.to_thread(authorities.reload) or changed
        except (PkiError, SkerryError) as error:
            # What could not be read or told now is tried again: agents must not be forgotten.
            log.warning("ca_rotation_waits", error=str(error))
            await clock.sleep(_AUTHORITY_CHECK_SECONDS)
