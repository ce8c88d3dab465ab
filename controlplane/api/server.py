"""One gRPC listener: servicers behind the interceptors, with health beside them. `app.py` makes two, for people and for agents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from controlplane.api.interceptors import access_log
from controlplane.api.interceptors.access_log import AccessLog
from controlplane.api.interceptors.audit import Audit
from controlplane.api.interceptors.authentication import Admission
from controlplane.api.interceptors.authorization import Authorization
from controlplane.api.interceptors.call import Call
from controlplane.api.interceptors.drain import Drain
from controlplane.api.interceptors.errors import translate_errors
from controlplane.api.interceptors.limits import SizeLimit
from controlplane.api.interceptors.metrics import CallMetrics
from controlplane.api.interceptors.pipeline import Pipeline
from controlplane.api.interceptors.rates import RateLimit
from controlplane.api.reflection import Reflection
from controlplane.auth.authenticator import Authenticator
from controlplane.auth.rules import rules_for
from controlplane.domain.clock import Clock
from controlplane.pki.authority import ServerIdentity

# As measured and explained for the link: a peer that froze is found in 30 s, and a client may ping every 10 s.
API_OPTIONS: tuple[tuple[str, int], ...] = (
    # Two servers on one port would share the calls silently.
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
)


class ListenError(Exception):
    """A port cannot be listened on; the message says which and why that may be."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A servicer, the generated function that adds it, and the service that it is."""

    service: ServiceDescriptor
    servicer: Any
    add: Callable[[Any, grpc.aio.Server], None]


class Interceptors:
    """What the listeners share: one drain, one set of metrics, one way of knowing callers."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        authorization: Authorization,
        audit: Audit,
        registry: CollectorRegistry,
        clock: Clock,
        size_limit: SizeLimit,
        rate_limit: RateLimit,
    ) -> None:
        self.drain = Drain()
        self.size_limit = size_limit
        self._authenticator = authenticator
        self._authorization = authorization
        # The order is the one of the package's docstring; authentication comes before the stages, limits behind them.
        self._audit = audit
        # Before the audit: a flood of calls must not become a flood of entries.
        self._stages = (
            AccessLog(clock),
            CallMetrics(registry, clock),
            translate_errors,
            rate_limit,
            audit,
        )

    async def _authorize(self, call: Call, request: Message) -> None:
        await self._authorization.check(call, request)
        await self._audit.begin(call, request)

    def pipeline(self, services: Sequence[ServiceDescriptor]) -> Pipeline:
        """The interceptor of a listener that serves these services; a method of any other service is refused."""
        return Pipeline(
            identify=access_log.identify,
            admit=Admission(rules_for(services), self._authenticator, self.drain),
            stages=self._stages,
            check_request=self.size_limit,
            authorize=self._authorize,
            watching=self._authorization.watching,
            drain=self.drain,
        )


class GrpcServer:
    """A grpc.aio server with health, and with reflection if asked."""

    def __init__(
        self,
        registrations: Sequence[Registration],
        *,
        interceptors: Interceptors,
        options: Sequence[tuple[str, int]],
        reflection: bool = False,
    ) -> None:
        self._names = [registration.service.full_name for registration in registrations]
        own = [*(item.service for item in registrations), _health_service()]
        reflector = Reflection(own) if reflection else None
        served = [*own, *(reflector.services if reflector else ())]
        self._server = grpc.aio.server(
            interceptors=[interceptors.pipeline(served)], options=list(options)
        )
        for registration in registrations:
            registration.add(registration.servicer, self._server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if reflector:
            reflector.add_to(self._server)

    def bind(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """Takes the port, without TLS when there are no credentials; returns its number. Raises ListenError."""
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ListenError(
                f"cannot listen on {address}: is another control plane running, or the address not this machine's?"
            ) from error

    async def start(self) -> None:
        """Serves, and says so in health."""
        await self._server.start()
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def announce_end(self) -> None:
        """NOT_SERVING in health from now on; calls go on."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float | None) -> None:
        """Takes no new calls, waits that many seconds for the open ones, then cuts them. May be called again with less."""
        await self._server.stop(grace)


def tls_credentials(current: Callable[[], ServerIdentity]) -> grpc.ServerCredentials:
    """TLS with whatever identity is current at each handshake, so that a renewed certificate needs no restart."""
    shown = current()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        latest = current()
        if latest is shown:
            return None
        shown = latest
        return _configuration(latest)

    return grpc.dynamic_ssl_server_credentials(_configuration(shown), fetch)  # type: ignore[arg-type]  # None means: as before


def with_limits(options: Sequence[tuple[str, int]], limit: SizeLimit) -> list[tuple[str, int]]:
    """The options and explicit message sizes: gRPC's defaults are 4 MiB one way and none the other."""
    sizes: Mapping[str, int] = {
        "grpc.max_receive_message_length": limit.transport_bytes,
        "grpc.max_send_message_length": limit.transport_bytes,
    }
    return [*options, *sizes.items()]


def _configuration(identity: ServerIdentity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(identity.key_pem, identity.chain_pem)])


def _health_service() -> ServiceDescriptor:
    service: Any = health_pb2.DESCRIPTOR.services_by_name["Health"]
    return service  # type: ignore[no-any-return]
