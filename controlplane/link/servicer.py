"""`LinkService` of agent.v1: one call is one agent's connection. Mounted on the agent port by `app`."""

from collections.abc import AsyncIterator

from skerry.agent.v1 import link_pb2, link_pb2_grpc
from skerry.wire.limits import Limits

from controlplane.domain.clock import Clock
from controlplane.link.admission import HandshakeGate
from controlplane.link.courier import AgentSessions
from controlplane.link.metrics import LinkMetrics, NoLinkMetrics
from controlplane.link.registry import AgentRegistry
from controlplane.link.session import AgentSession
from controlplane.link.transport import Context, ContextTransport


class LinkServicer(link_pb2_grpc.LinkServiceServicer):
    """An agent that says nothing for `ping_seconds` and the grace behind it is dead: see `skerry.wire.liveness`."""

    def __init__(
        self,
        *,
        sessions: AgentSessions,
        registry: AgentRegistry,
        clock: Clock,
        metrics: LinkMetrics | None = None,
        ping_seconds: float = 10.0,
        limits: Limits | None = None,
        gate: HandshakeGate | None = None,
    ) -> None:
        self._sessions = sessions
        self._registry = registry
        self._clock = clock
        self._metrics = metrics or NoLinkMetrics()
        self._ping_seconds = ping_seconds
        self._limits = limits or Limits()
        self._gate = gate or HandshakeGate()

    async def Connect(  # type: ignore[override]  # the stubs know only generators; this one reads and writes
        self, request_iterator: AsyncIterator[link_pb2.ConnectRequest], context: Context
    ) -> None:
        """Carry one agent's connection until it ends."""
        del request_iterator  # reads go through the context: never both ways on one call
        await AgentSession(
            ContextTransport(context),
            sessions=self._sessions,
            directory=self._registry,
            clock=self._clock,
            metrics=self._metrics,
            ping_seconds=self._ping_seconds,
            limits=self._limits,
            gate=self._gate,
        ).serve()
