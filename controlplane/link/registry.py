"""The agents connected to this process, by cluster: implements `Agents` of the services' ports.

Sessions come and go by `session`; the services ask here. One session a cluster: the connection with the
highest epoch, and the older one is told.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence

import structlog
from skerry.agent.v1 import link_pb2, stream_pb2
from skerry.wire import capabilities
from skerry.wire.claims import Claims
from skerry.wire.errors import ConnectionRefused, MessageTooLarge, TooManyStreams
from skerry.wire.session import LinkStream

from controlplane.domain.commands import DeployApp
from controlplane.domain.errors import (
    AgentOffline,
    RemoteError,
    RequestTooLarge,
    StatusCode,
)
from controlplane.domain.link_health import LinkSample
from controlplane.domain.logs import LogsRequest
from controlplane.domain.terminals import ExecRequest
from controlplane.domain.workloads import CheckResult, PlanResult
from controlplane.link import codec
from controlplane.link.answers import Answer
from controlplane.link.exec_session import AgentExecSession
from controlplane.link.session import AgentSession
from controlplane.link.streams import AgentLogStream

log = structlog.get_logger(__name__)

_EXEC_ANSWER_MS = 30_000
_SUPERSEDED_RECONNECT = (30.0, 60.0)


class AgentRegistry:
    """Constructed by `app`; everything runs on one event loop."""

    def __init__(
        self,
        *,
        plan_seconds: float = 60.0,
        check_seconds: float = 5.0,
        exec_keep_seconds: float = 60.0,
        new_session_name: Callable[[], str] = lambda: secrets.token_hex(16),
        rng: random.Random | None = None,
    ) -> None:
        self._plan_seconds = plan_seconds
        self._check_seconds = check_seconds
        self._exec_keep_seconds = exec_keep_seconds
        self._new_session_name = new_session_name
        self._sessions: Claims[AgentSession] = Claims()
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret

    # For the services (Agents)

    def is_connected(self, cluster_uid: str) -> bool:
        """Whether a link of this cluster is up."""
        return cluster_uid in self._sessions

    def link(self, cluster_uid: str) -> LinkSample | None:
        """What the live connection says of itself; None when there is none."""
        session = self._sessions.get(cluster_uid)
        return session.sample() if session is not None else None

    def wake(self, cluster_uid: str) -> None:
        """Commands are waiting in the outbox."""
        if (session := self._sessions.get(cluster_uid)) and session.courier:
            session.courier.fetch_commands()

    def cancel(self, cluster_uid: str, seq: int) -> None:
        """Ask the agent to stop working on a command."""
        if (session := self._sessions.get(cluster_uid)) and session.courier:
            session.courier.cancel_command(seq)

    async def open_logs(self, cluster_uid: str, request: LogsRequest) -> AgentLogStream:
        """Open a log stream."""
        open_ = link_pb2.Open(lane=link_pb2.LANE_BULK, logs=codec.open_logs(request))
        return AgentLogStream(self._open(cluster_uid, open_))

    async def open_exec(self, cluster_uid: str, request: ExecRequest) -> AgentExecSession:
        """Run a command; returns once the stream is open, before the command runs."""
        # An agent that cannot go on after a cut is told of no session; then a cut ends the command at once, and says so.
        keeps = self._can(cluster_uid, capabilities.RESUME_EXEC)
        name = self._new_session_name() if keeps else ""
        open_ = link_pb2.Open(
            lane=link_pb2.LANE_INTERACTIVE,
            deadline_ms=_EXEC_ANSWER_MS,
            exec=codec.open_exec(request, session=name),
        )
        return AgentExecSession(
            name,
            self._open(cluster_uid, open_),
            open_=lambda again: self._open(cluster_uid, again),
            keep_seconds=self._exec_keep_seconds,
        )

    async def plan(self, cluster_uid: str, deploy: DeployApp) -> PlanResult:
        """What this deploy would do."""
        open_ = link_pb2.Open(
            lane=link_pb2.LANE_BULK, plan=stream_pb2.OpenPlan(deploy=codec.deploy_app(deploy))
        )
        answer = Answer(self._open(cluster_uid, open_), "plan", self._plan_seconds)
        return codec.plan_result(await answer.message(stream_pb2.PlanResult))

    async def check(
        self, cluster_uid: str, deploy: DeployApp, profiles: Sequence[str]
    ) -> CheckResult:
        """What there is to say about a compose project."""
        check = stream_pb2.OpenCheck(deploy=codec.deploy_app(deploy), profiles=profiles)
        open_ = link_pb2.Open(
            lane=link_pb2.LANE_INTERACTIVE,
            deadline_ms=round(self._check_seconds * 1000),
            check=check,
        )
        answer = Answer(self._open(cluster_uid, open_), "check", self._check_seconds)
        return codec.check_result(await answer.message(stream_pb2.CheckResult))

    async def compose_schema(self, cluster_uid: str) -> str:
        """The JSON Schema of compose files, as the agent's version has it."""
        open_ = link_pb2.Open(
            lane=link_pb2.LANE_BULK, compose_schema=stream_pb2.OpenComposeSchema()
        )
        return await Answer(
            self._open(cluster_uid, open_), "compose schema", self._check_seconds
        ).text()

    def ask_to_renew(self, cluster_uid: str, reason: str) -> None:
        """Ask for a new certificate now."""
        if (session := self._sessions.get(cluster_uid)) and session.renewals:
            session.renewals.ask(reason)

    async def disconnect(self, cluster_uid: str, reason: str) -> None:
        """Cut the link because the agent's identity is no longer valid."""
        if session := self._sessions.get(cluster_uid):
            session.send_away(link_pb2.GO_AWAY_REASON_REVOKED, reason)

    # For the process

    async def drain(self, grace_seconds: float = 5.0) -> None:
        """Send every agent away, to come back at a time of its own within some seconds, and wait for them.

        Agents that connect meanwhile are sent away, too. Returns when all have gone, at most after
        `grace_seconds`.
        """
        self._draining = True
        log.info("agents_draining", agents=len(self._sessions))
        for session in list(self._sessions):
            self._send_elsewhere(session)
        try:
            async with asyncio.timeout(grace_seconds):
                await self._empty.wait()
        except TimeoutError:
            log.warning("agents_still_connected", agents=len(self._sessions))

    # For the sessions (Directory)

    def admit(self, session: AgentSession) -> bool:
        """Make it the session of its cluster; False when it is not, or when this process is stopping."""
        if self._draining:
            self._send_elsewhere(session)
            return False
        claim = self._sessions.claim(session.cluster_uid, session.epoch, session)
        if claim.holds:
            self._empty.clear()
        if claim.superseded is not None:
            log.warning(
                "agent_superseded",
                cluster_uid=session.cluster_uid,
                epoch=claim.superseded.epoch,
            )
            self._supersede(claim.superseded)
        return claim.holds

    def remove(self, session: AgentSession) -> None:
        """It has ended."""
        self._sessions.release(session.cluster_uid, session)
        if not self._sessions:
            self._empty.set()

    def _can(self, cluster_uid: str, capability: str) -> bool:
        session = self._sessions.get(cluster_uid)
        return session is not None and session.can(capability)

    def _open(self, cluster_uid: str, open_: link_pb2.Open) -> LinkStream:
        session = self._sessions.get(cluster_uid)
        if session is None:
            raise AgentOffline(
                "the cluster's agent is not connected; start it, or look at its log",
                retry_after=5.0,
            )
        try:
            return session.open(open_)
        except TooManyStreams as error:
            session.note_refused_open()
            raise RemoteError(
                StatusCode.RESOURCE_EXHAUSTED,
                "LINK_LIMIT_EXCEEDED",
                f"{error}; close log streams or terminals of this cluster, then try again",
            ) from error
        except ConnectionRefused as error:
            raise AgentOffline(
                "the cluster's agent is reconnecting; try again", retry_after=2.0
            ) from error
        except MessageTooLarge as error:
            raise RequestTooLarge(str(error)) from error

    def _send_elsewhere(self, session: AgentSession) -> None:
        low = self._rng.uniform(0.2, 1.0)
        session.send_away(
            link_pb2.GO_AWAY_REASON_DRAINING, "the control plane is stopping", (low, low + 4.0)
        )

    def _supersede(self, session: AgentSession) -> None:
        session.send_away(
            link_pb2.GO_AWAY_REASON_SUPERSEDED,
            "another connection with this agent's identity is newer",
            _SUPERSEDED_RECONNECT,
        )
