"""The agent's one link to its control plane, for ever: dial, carry, wait a little, dial again.

Run by `agent.app`. It ends by cancellation, or with `LinkRefused` when the control plane will not have
this agent back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

import structlog
from skerry.agent.v1 import link_pb2
from skerry.wire.errors import PeerSilentError, ProtocolError, TransportError

from agent.link.backoff import Backoff
from agent.link.commands import CommandRunner
from agent.link.connection import AgentConnection, Ending
from agent.link.counters import LinkCounters, LinkCounts
from agent.link.enrol import explain_unreachable
from agent.link.errors import LinkRefused
from agent.link.handlers import CommandHandlers, StreamHandlers
from agent.link.identity import Identity, IdentityStore
from agent.link.journal import Journal
from agent.link.renewal import Renewer
from agent.link.reports import ReportBoard
from agent.link.streams import StreamRunner

log = structlog.get_logger(__name__)

_WARN_BELOW = 1 / 5  # it should have been renewed by then
_JOIN_AGAIN = (
    "make a join token with `skerry cluster join-token`, remove the agent's identity and start it "
    "with the token"
)


class LinkState(StrEnum):
    """Where the link stands, for health checks and `skerry-agent doctor`."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    REFUSED = "refused"


class Link:
    """Constructed by `agent.app`, which mounts the handlers."""

    def __init__(
        self,
        *,
        identity: Identity,
        store: IdentityStore,
        journal: Journal,
        board: ReportBoard,
        stream_handlers: StreamHandlers,
        command_handlers: CommandHandlers,
        agent_version: str,
        boot_id: str,
        proxy_ca_pem: bytes = b"",
        backoff: Backoff | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._proxy_ca_pem = proxy_ca_pem
        self.renewer = Renewer(
            identity,
            store,
            rng=random.Random(),  # noqa: S311 - jitter, not a secret
            now=now,
        )
        """Keeps the identity young."""
        self._board = board
        self._agent_version = agent_version
        self._boot_id = boot_id
        self._backoff = backoff or Backoff(random.Random())  # noqa: S311 - jitter, not a secret
        self._now = now
        self._commands = CommandRunner(journal=journal, handlers=command_handlers, now=now)
        self._streams = StreamRunner(stream_handlers)
        self._connection: AgentConnection | None = None
        self._counters = LinkCounters()
        self._waiting = False
        self._refused = False
        self.last_error = ""
        """Why the link is not up, for people; empty when it is or was not tried."""

    @property
    def state(self) -> LinkState:
        """Where the link stands now."""
        if self._refused:
            return LinkState.REFUSED
        if self._connection is not None and self._connection.connected:
            return LinkState.CONNECTED
        return LinkState.WAITING if self._waiting else LinkState.CONNECTING

    @property
    def round_trip_seconds(self) -> float:
        """The last measured round trip, 0 when there is none."""
        return self._connection.round_trip_seconds if self._connection is not None else 0.0

    @property
    def counts(self) -> LinkCounts:
        """What was counted since the start."""
        return self._counters.now(self._connection.wire if self._connection is not None else None)

    async def run(self) -> None:
        """Keep the link up until cancelled.

        Raises `LinkRefused` when the identity was revoked, `JournalError` when the journal cannot be
        read at the start.
        """
        await self._commands.open()
        working = asyncio.get_running_loop().create_task(self._commands.run(), name="link-commands")
        linking = asyncio.get_running_loop().create_task(self._keep_up(), name="link-keep-up")
        renewing = asyncio.get_running_loop().create_task(self.renewer.run(), name="link-renewal")
        tasks = {working, linking, renewing}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._streams.close()
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _keep_up(self) -> None:
        while True:
            self._warn_of_expiry()
            connection = self._connection = AgentConnection(
                renewer=self.renewer,
                proxy_ca_pem=self._proxy_ca_pem,
                agent_version=self._agent_version,
                boot_id=self._boot_id,
                commands=self._commands,
                streams=self._streams,
                board=self._board,
            )
            ending = await connection.run()
            self._connection = None
            self._counters.ended(connection.wire, _ended_as(ending))
            wait = self._after(ending)
            self._waiting = True
            await asyncio.sleep(wait)
            self._waiting = False

    def _after(self, ending: Ending) -> float:
        """Say why the connection ended, and how long to wait, in seconds."""
        message, wait = self._judge(ending)
        self.last_error = message
        log.warning(
            "link_down",
            reason=message,
            connected_seconds=round(ending.connected_seconds, 1),
            retry_seconds=round(wait, 1),
        )
        return wait

    def _judge(self, ending: Ending) -> tuple[str, float]:
        go_away = ending.go_away
        if go_away is None:
            return self._explain(ending), self._backoff.after(ending.connected_seconds)
        asked = (go_away.reconnect_min_ms / 1000, go_away.reconnect_max_ms / 1000)
        match go_away.reason:
            case link_pb2.GO_AWAY_REASON_REVOKED:
                self._refused = True
                raise LinkRefused(
                    f"the control plane does not want this agent back: {go_away.message}. To come back, {_JOIN_AGAIN}"
                )
            case link_pb2.GO_AWAY_REASON_UNAUTHENTICATED:
                return (
                    f"the control plane does not accept this agent's identity: {go_away.message}; "
                    f"{_JOIN_AGAIN}",
                    self._backoff.longest,
                )
            case link_pb2.GO_AWAY_REASON_INCOMPATIBLE:
                return (
                    f"agent and control plane have no protocol version in common: {go_away.message}; "
                    "update the older of the two",
                    self._backoff.longest,
                )
            case link_pb2.GO_AWAY_REASON_SUPERSEDED:
                message = (
                    "another agent connected with this agent's identity; if it is not this one "
                    "after a restart, stop one of the two"
                )
            case link_pb2.GO_AWAY_REASON_DRAINING:
                message = "the control plane is restarting"
            case link_pb2.GO_AWAY_REASON_RETRY_AFTER:
                message = f"the control plane takes this agent later: {go_away.message}"
            case link_pb2.GO_AWAY_REASON_PROTOCOL_ERROR:
                message = f"the control plane says we broke the protocol: {go_away.message}"
            case _:
                message = go_away.message or "the control plane closed the connection"
        if asked[1] > 0:
            return message, self._backoff.between(*asked)
        return message, self._backoff.after(ending.connected_seconds)

    def _explain(self, ending: Ending) -> str:
        error = ending.error
        address = self.renewer.identity.address
        match error:
            case None:
                return "the control plane closed the connection"
            case PeerSilentError() if ending.connected_seconds:
                return f"{error}; the connection is given up for dead"
            case PeerSilentError():
                return f"the control plane at {address} did not answer; check address and network"
            case TransportError(code="UNAVAILABLE") if not ending.connected_seconds:
                return explain_unreachable(address, error.message)
            case TransportError(code="UNIMPLEMENTED"):
                return f"the server at {address} is not a Skerry agent port; check the port"
            case _:
                return str(error)

    def _warn_of_expiry(self) -> None:
        identity = self.renewer.identity
        if identity.life_left(self._now()) < _WARN_BELOW:
            log.warning(
                "certificate_not_renewed",
                expires=identity.expire_time.isoformat(),
                error=self.renewer.last_error or "the control plane was not reached in time",
            )


def _ended_as(ending: Ending) -> str:
    """A word for the metrics: a reason of GoAway, or `SILENT`, `LOST`, `CLOSED`, `PROTOCOL_ERROR`, `UNREACHABLE`."""
    if ending.go_away is not None:
        names = link_pb2.GoAwayReason.DESCRIPTOR.values_by_number
        known = names.get(ending.go_away.reason)
        return known.name.removeprefix("GO_AWAY_REASON_") if known else "UNSPECIFIED"
    match ending.error:
        case None:
            return "CLOSED"
        case ProtocolError():
            return "PROTOCOL_ERROR"
        case _ if not ending.connected_seconds:
            return "UNREACHABLE"
        case PeerSilentError():
            return "SILENT"
        case _:
            return "LOST"
