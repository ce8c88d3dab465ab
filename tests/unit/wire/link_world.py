"""Both ends of the link with all that is durable behind them, in one simulated world.

Real: the connection, the scheduler, credit, the inbox and outbox of commands, claims, the order of
commands, the board of reports. Simulated: the network (delays, cuts, half-open connections, lost stream
frames, as a relay may lose them), the disk, the database, the cluster, and the clock. Either process may
die between any two steps. What is done next is drawn from a seed; what must hold is checked as it goes,
and `settle` lets everything come to its end.

`Switches` turns one mechanism off, so that a test can show that its invariant fails without it.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from skerry.agent.v1 import command_pb2, link_pb2, report_pb2
from skerry.wire.claims import Claims
from skerry.wire.connection import Connection, Phase, Role
from skerry.wire.credit import BulkWindows
from skerry.wire.errors import ConnectionRefused, ProtocolError
from skerry.wire.events import (
    Event,
    FrameArrived,
    PeerGoesAway,
    PeerSilent,
    StreamEnded,
    StreamOpened,
)
from skerry.wire.inbox import (
    MAX_ATTEMPTS,
    Acknowledge,
    Action,
    CommandInbox,
    SayProgress,
    SayResult,
    Start,
    Stop,
)
from skerry.wire.limits import BATCH_BYTES, KIB, SEND_BUFFER, Limits, memory_bound
from skerry.wire.outbox import CommandOutbox
from skerry.wire.scheduler import Scheduler
from skerry.wire.streams import StreamState

from agent.link.order import supersedes, waits_for
from agent.link.reports import ReportBoard
from tests.unit.wire.link_terminals import Terminals

Result = command_pb2.CommandResult

LIMITS = Limits(
    max_streams=6,
    max_frame_bytes=4 * KIB,
    initial_stream_credit=24 * KIB,
    connection_credit=64 * KIB,
    opens_per_second=10_000,
)
PING_SECONDS = 10.0
WALL = datetime(2026, 1, 1, tzinfo=UTC)
APPS = ("a", "b", "c")
_PATTERN = bytes(index * 7 % 251 for index in range(251)) * 400
_DATA_KINDS = ("data", "reset")


class Violation(AssertionError):
    """Something that must always hold does not."""


def must(holds: bool, what: str) -> None:
    """Check an invariant."""
    if not holds:
        raise Violation(what)


def pattern(key: int, offset: int, size: int) -> bytes:
    """What flow `key` carries at an offset."""
    start = (key * 31 + offset) % 251
    return _PATTERN[start : start + size]


@dataclass(frozen=True)
class Switches:
    """The mechanisms that keep the promises; each can be turned off."""

    credit: bool = True
    offsets: bool = True
    pool: bool = True
    lanes: bool = True
    sync: bool = True
    silence: bool = True
    fencing: bool = True
    claims: bool = True
    journal_first: bool = True
    stored_first: bool = True
    dedupe: bool = True
    order: bool = True
    resend: bool = True
    attempts: bool = True
    replay: bool = True
    input_replay: bool = True


ALL_ON = Switches()


# What is durable


@dataclass
class Row:
    """A command in the agent's journal."""

    command: command_pb2.Command
    attempts: int = 0
    result: Result | None = None


@dataclass
class Disk:
    """The agent's journal."""

    last_seq: int = 0
    rows: dict[int, Row] = field(default_factory=dict)


@dataclass
class Database:
    """What the control plane has written down."""

    commands: dict[int, command_pb2.Command] = field(default_factory=dict)
    results: dict[int, Result] = field(default_factory=dict)
    cancels: set[int] = field(default_factory=set)
    acknowledged: int = 0
    epoch: int = 0
    reports: dict[str, tuple[int, int, str]] = field(default_factory=dict)


@dataclass
class Cluster:
    """What the handlers change. Doing a command twice is doing it once; going back is not allowed."""

    at: dict[str, int] = field(default_factory=dict)
    effects: Counter[int] = field(default_factory=Counter)
    poison: set[int] = field(default_factory=set)

    def apply(self, app: str, seq: int) -> None:
        if self.at.get(app) == seq:
            return
        must(self.at.get(app, 0) < seq, "an older command never undoes a newer one")
        self.at[app] = seq
        self.effects[seq] += 1
        must(self.effects[seq] == 1, "the effect of a command happens once")


# The network


_OPENS = frozenset({"open", "reset", "challenge", "hello", "welcome"})


class FifoScheduler(Scheduler):
    """Without lanes: what is urgent waits behind what streams have queued (mutation)."""

    def fill(self, envelope: Any, bulk: int) -> int:
        frames = envelope.frames
        late = [frame for frame in self._control if frame.WhichOneof("kind") not in _OPENS]
        early = [frame for frame in self._control if frame.WhichOneof("kind") in _OPENS]
        self._control.clear()
        self._control.extend(early)
        left = self._fill_control(frames, BATCH_BYTES) if early else BATCH_BYTES
        for rotation in (self._bulk, self._interactive):
            if rotation:
                left = self._fill_streams(frames, rotation, left, at_least_one=True)
        if self._exchange or self._exchange_latest:
            left = self._fill_exchange(frames, left)
        self._control.extend(late)
        self._fill_control(frames, 1 if not frames else left)
        return len(frames)


class BottomlessWindows(BulkWindows):
    """Without a pool (mutation)."""

    def affordable(self, held: int) -> int:
        return 1 << 30


@dataclass
class Flow:
    """One direction of one stream, or of a follow that goes over several streams."""

    key: int
    sent: int = 0
    taken: int = 0


class End:
    """One end of one wire."""

    def __init__(self, world: World, wire: Wire, role: Role) -> None:
        self.world = world
        self.wire = wire
        self.role = role
        self.core = Connection(role, now=world.now, limits=LIMITS, ping_seconds=PING_SECONDS)
        self.peer: End
        self.alive = True
        self.out: deque[bytes] = deque()
        self.states: dict[int, StreamState] = {}
        self.flows_out: dict[int, Flow] = {}
        self.flows_in: dict[int, Flow] = {}
        self.leaving = False
        self._mutate(world.switches)

    def _mutate(self, switches: Switches) -> None:
        mux = self.core._mux
        if not switches.pool:
            mux.windows = BottomlessWindows(pool=1 << 30, initial=LIMITS.initial_stream_credit)
        if not switches.sync:
            self.core._handlers["sync_streams"] = lambda frame, now: None
        if not switches.lanes:
            fifo = FifoScheduler(self.core.sent)
            self.core._scheduler = mux._scheduler = fifo
        if not switches.offsets:
            honest = mux.on_data

            def blind(frame: link_pb2.Frame) -> None:
                stream = mux.streams.get(frame.stream_id)
                if stream is not None:
                    frame.data.offset = stream.received
                honest(frame)

            mux.on_data = blind  # type: ignore[method-assign]

    def handle(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case StreamOpened(state, open_) if (
                    open_.exec.session or open_.WhichOneof("kind") == "resume_exec"
                ):
                    self.world.terminals.opened(self, state, open_)
                case StreamOpened(state, open_):
                    self.states[state.id] = state
                    key, offset = (int(part) for part in open_.exec.command)
                    if offset >= 0:  # a follow: go on behind what was delivered
                        self.flows_out[state.id] = Flow(key, sent=offset)
                        self.flows_in[state.id] = Flow(key + 1)
                    else:
                        self.flows_out[state.id] = Flow(key)
                        self.flows_in[state.id] = Flow(key + 1)
                case StreamEnded(state):
                    if state.error is not None:
                        must(
                            state.error.reason != "FLOW_CONTROL",
                            "what is in flight stays within the credit",
                        )
                    if self.role is Role.AGENT:
                        self.world.terminals.ended(self, state)
                case PeerSilent():
                    if self.world.switches.silence:
                        self.lose()
                    else:
                        self.core.receive(link_pb2.ConnectRequest(), self.world.now)
                case PeerGoesAway(go_away):
                    self.world.agent.told.append(go_away.reason)
                    self.leaving = True
                case FrameArrived(kind, frame):
                    if self.role is Role.AGENT:
                        self.world.agent.frame(self, kind, frame)
                    else:
                        self.world.plane.frame(self, kind, frame)

    def lose(self) -> None:
        """This end learns that the wire is gone."""
        if not self.alive:
            return
        self.alive = False
        self.out.clear()
        self.handle(self.core.lose("cut"))
        must(not self.core.streams, "no stream outlives its connection")
        if self.role is Role.AGENT:
            self.world.agent.lost(self)
        else:
            self.world.plane.lost(self)

    def pump(self) -> None:
        """Hand the transport one message, if it can take one."""
        if not self.alive or len(self.out) >= 2 or not self.core.has_output:
            return
        scheduler = self.core._scheduler
        waiting = len(scheduler._control) + len(scheduler._control_latest)
        message, events = self.core.next_message(self.world.now)
        self.handle(events)
        if message is None:
            return
        if waiting:
            left = len(scheduler._control) + len(scheduler._control_latest)
            data = any(frame.WhichOneof("kind") == "data" for frame in message.frames)
            first = message.frames[0].WhichOneof("kind")
            must(
                first != "data" and not (left and data),
                "control waits behind one message at most, whatever the bulk",
            )
        encoded = message.SerializeToString()
        must(len(encoded) <= BATCH_BYTES + 32 * KIB, "a message is one batch")
        if not self.wire.dead:
            self.out.append(encoded)
        if self.leaving and not self.core.has_output:
            self.wire.closing = True

    def deliver(self) -> None:
        """What this end sent first arrives at the peer."""
        encoded = self.out.popleft()
        if not self.peer.alive:
            return
        kind = link_pb2.ConnectRequest if self.role is Role.AGENT else link_pb2.ConnectResponse
        message = kind.FromString(encoded)
        world = self.world
        if world.lossy and world.random.random() < 0.3:
            # Not a fin: nothing comes behind it that would show the gap.
            held = [
                number
                for number, frame in enumerate(message.frames)
                if frame.WhichOneof("kind") in _DATA_KINDS and not frame.data.fin
            ]
            if held:
                del message.frames[world.random.choice(held)]
        try:
            self.peer.handle(self.peer.core.receive(message, world.now))
        except ProtocolError:
            must(world.was_lossy, "honest ends never break the protocol")
            self.wire.cut()

    # Streams

    def open(self, flow: Flow, *, interactive: bool = False, offset: int = -1) -> int | None:
        if self.core.phase is not Phase.OPEN or self.core.full:
            return None
        lane = link_pb2.LANE_INTERACTIVE if interactive else link_pb2.LANE_BULK
        open_ = link_pb2.Open(lane=lane)
        open_.exec.command.extend([str(flow.key), str(offset)])
        try:
            state = self.core.open(open_, self.world.now)
        except ConnectionRefused:
            return None
        self.states[state.id] = state
        self.flows_in[state.id] = flow
        self.flows_out[state.id] = Flow(flow.key + 1)
        return state.id

    def send(self, stream_id: int, wanted: int) -> None:
        state = self.states[stream_id]
        if state.closed or state.fin_queued:
            return
        room = min(wanted, SEND_BUFFER - state.queued, state.max_frame)
        if self.world.switches.credit:
            room = min(room, state.send_limit - state.enqueued)
        if room <= 0:
            return
        flow = self.flows_out[stream_id]
        honest = state.send_limit
        if not self.world.switches.credit:
            state.send_limit = 1 << 40
        self.core.send(state, pattern(flow.key, flow.sent, room))
        state.send_limit = honest
        flow.sent += room
        if self.world.switches.credit:
            peer = self.peer.states.get(stream_id)
            allowed = peer.granted if peer else LIMITS.initial_stream_credit
            must(state.enqueued <= allowed, "what is in flight stays within the credit")

    def consume(self, stream_id: int, pieces: int) -> bool:
        state, flow = self.states[stream_id], self.flows_in[stream_id]
        taken = min(pieces, len(state.inbound))
        for _ in range(taken):
            payload = state.inbound.popleft().payload
            must(
                payload == pattern(flow.key, flow.taken, len(payload)),
                "what is delivered is a prefix of what was sent",
            )
            flow.taken += len(payload)
            self.core.consumed(state, len(payload), self.world.now)
        return taken > 0

    def check(self) -> None:
        """Memory that the peer may make this end hold, and what this end holds for it."""
        granted = queued = 0
        for state in self.core.streams.values():
            queued += state.queued
            if state.fin_received:
                granted += state.received - state.consumed
            elif not state.abandoned:
                granted += state.granted - state.consumed
        for state in self.core._mux.unread.values():
            granted += state.received - state.consumed
        must(granted <= memory_bound(LIMITS), "memory is bounded by the formula")
        must(
            queued <= LIMITS.max_streams * SEND_BUFFER + SEND_BUFFER,
            "what waits to be sent is bounded",
        )


class Wire:
    """One connection between the two processes."""

    def __init__(self, world: World) -> None:
        self.agent = End(world, self, Role.AGENT)
        self.plane = End(world, self, Role.CONTROL_PLANE)
        self.agent.peer, self.plane.peer = self.plane, self.agent
        self.ends = (self.agent, self.plane)
        self.dead = False
        self.closing = False

    @property
    def over(self) -> bool:
        return not (self.agent.alive or self.plane.alive)

    def cut(self) -> None:
        """Both ends learn at once."""
        for end in self.ends:
            end.lose()

    def die(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self.dead = True
        for end in self.ends:
            end.out.clear()


# The agent


class Agent:
    """The agent's process. `start` begins a new life from the disk."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[int] = []
        self.board = ReportBoard()
        self.said: dict[str, str] = {}
        self.epoch = 0
        self.start()

    def start(self) -> None:
        switches = self.world.switches
        self.inbox = CommandInbox(
            waits_for=waits_for if switches.order else lambda later, earlier: False,
            supersedes=supersedes,
            max_attempts=MAX_ATTEMPTS if switches.attempts else 1 << 30,
        )
        disk = self.world.disk
        self.inbox.restore(
            disk.last_seq,
            [(row.command, row.attempts) for row in disk.rows.values() if row.result is None],
        )
        self.inputs: deque[command_pb2.Command] = deque()
        self.todo: list[Callable[[], None]] = []
        self.working: dict[int, command_pb2.Command] = {}
        self.end: End | None = None
        self.up = False
        self.board = ReportBoard()
        for key, value in self.said.items():
            self.board.put(key, report_pb2.AppStatus(app_uid=value))
        self.do(self.inbox.resume())

    def crash(self) -> None:
        """The process dies; whether the control plane hears of it is the network's business."""
        for wire in self.world.wires:
            if wire.agent.alive:
                wire.agent.alive = False
                wire.agent.out.clear()
                if self.world.random.random() < 0.5:
                    wire.plane.lose()
                else:
                    wire.die()
        self.world.terminals.agent_dies()
        self.start()

    # The link

    def frame(self, end: End, kind: str, frame: link_pb2.Frame) -> None:
        if end is not self.end:
            return
        match kind:
            case "challenge":
                hello = link_pb2.Frame()
                hello.hello.protocol_min = hello.hello.protocol_max = 1
                hello.hello.last_command_seq = self.inbox.last_seq
                end.core.send_control(hello)
            case "welcome":
                must(frame.welcome.epoch > self.epoch, "epochs only grow")
                self.epoch = frame.welcome.epoch
                self.up = True
                results = [
                    row.result for row in self.world.disk.rows.values() if row.result is not None
                ]
                self.do(self.inbox.attached(results if self.world.switches.resend else []))
                for report in self.board.pending():
                    end.core.send_exchange(link_pb2.Frame(report=report), ("report", report.key))
            case "command":
                self.inputs.append(frame.command)
                if not self.world.switches.journal_first:
                    self.say(Acknowledge(frame.command.seq))
            case "command_cancel":
                self.do(self.inbox.cancel(frame.command_cancel.seq))
            case "result_ack":
                seq = frame.result_ack.seq
                self.inbox.acknowledged(seq)
                self.todo.append(lambda: self.forget(seq))
            case "report_ack":
                self.board.acknowledged(frame.report_ack.key, frame.report_ack.version)

    def lost(self, end: End) -> None:
        if end is self.end:
            self.end, self.up = None, False

    def report(self, key: str, value: str) -> None:
        self.said[key] = value
        self.board.put(key, report_pb2.AppStatus(app_uid=value))
        if self.up and self.end is not None:
            report = next(r for r in self.board.pending() if r.key == key)
            self.end.core.send_exchange(link_pb2.Frame(report=report), ("report", key))

    # Commands: the shell of the inbox

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Start(command):
                    self.todo.append(lambda command=command: self.begin(command))  # type: ignore[misc]
                case Stop(seq):
                    if seq in self.working:
                        del self.working[seq]
                        result = self.inbox.interrupted(seq)
                        if result is not None:
                            self.finish(seq, result)
                case _:
                    self.say(action)

    def say(self, action: Action) -> None:
        if not self.up or self.end is None:
            return
        core = self.end.core
        match action:
            case Acknowledge(seq):
                frame = link_pb2.Frame()
                frame.command_ack.seq = seq
                core.send_control(frame, "command_ack")
            case SayResult(result):
                core.send_exchange(link_pb2.Frame(command_result=result), ("result", result.seq))
            case SayProgress(progress):
                frame = link_pb2.Frame(command_progress=progress)
                core.send_exchange(frame, ("progress", progress.seq))

    def journal(self) -> None:
        """Write what came to the disk, then take it on."""
        commands = list(self.inputs)
        self.inputs.clear()
        new = self.inbox.fresh(commands) if self.world.switches.dedupe else commands
        disk = self.world.disk
        for command in new:
            disk.rows[command.seq] = Row(command)
            disk.last_seq = max(disk.last_seq, command.seq)
        self.do(self.inbox.journalled(new))

    def begin(self, command: command_pb2.Command) -> None:
        seq = command.seq
        row = self.world.disk.rows.get(seq)
        must(row is not None and row.result is None, "what has ended is not begun again")
        result = self.inbox.begin(seq, known=True, wall=WALL, now=self.world.now)
        if result is not None:
            self.finish(seq, result)
            return
        assert row is not None
        row.attempts += 1
        self.working[seq] = command
        self.todo.append(lambda: self.work(command))

    def work(self, command: command_pb2.Command) -> None:
        if command.seq not in self.working:
            return
        if command.seq in self.world.cluster.poison:
            self.crash()
            return
        self.world.cluster.apply(command.delete_app.app_uid, command.seq)
        self.todo.append(lambda: self.worked(command.seq))

    def worked(self, seq: int) -> None:
        if seq in self.working:
            del self.working[seq]
            self.finish(seq, Result(message="done"))

    def finish(self, seq: int, result: Result) -> None:
        result = self.inbox.ended(seq, result)
        self.todo.append(lambda: self.record(seq, result))

    def record(self, seq: int, result: Result) -> None:
        row = self.world.disk.rows.get(seq)
        if row is not None:
            row.result = result
        self.do(self.inbox.recorded(seq))

    def forget(self, seq: int) -> None:
        row = self.world.disk.rows.get(seq)
        if row is not None and row.result is not None:
            must(seq in self.world.database.results, "a result is forgotten when it is stored")
            del self.world.disk.rows[seq]

    def step(self, rng: random.Random) -> bool:
        """One step of the process, any that is possible."""
        ways = len(self.todo) + bool(self.inputs)
        if not ways:
            return False
        choice = rng.randrange(ways)
        if choice == len(self.todo):
            self.journal()
        else:
            self.todo.pop(choice)()
        return True


# The control plane


@dataclass
class Session:
    """A live session of the control plane."""

    end: End
    epoch: int = 0
    outbox: CommandOutbox | None = None
    todo: list[Callable[[], None]] = field(default_factory=list)


class Plane:
    """The control plane's process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sessions: list[Session] = []
        self.claims: Claims[Session] = Claims()

    def crash(self) -> None:
        self.world.terminals.plane_dies()
        self.sessions.clear()
        self.claims = Claims()
        for wire in self.world.wires:
            if wire.plane.alive:
                wire.plane.alive = False
                wire.plane.out.clear()
                if self.world.random.random() < 0.5:
                    wire.agent.lose()
                else:
                    wire.die()

    def accept(self, end: End) -> None:
        self.sessions.append(Session(end))
        challenge = link_pb2.Frame()
        challenge.challenge.nonce = b"n"
        end.core.send_control(challenge)

    def lost(self, end: End) -> None:
        for session in self.sessions:
            if session.end is end:
                self.claims.release("agent", session)
        self.sessions = [session for session in self.sessions if session.end is not end]

    def frame(self, end: End, kind: str, frame: link_pb2.Frame) -> None:
        session = next((s for s in self.sessions if s.end is end), None)
        if session is None:
            return
        if kind == "hello":
            last = frame.hello.last_command_seq
            session.todo.append(lambda: self.admit(session, last))
        elif session.outbox is not None:
            session.outbox.heard(kind, frame)

    def admit(self, session: Session, last_seq: int) -> None:
        database = self.world.database
        database.epoch += 1
        session.epoch = database.epoch
        session.outbox = CommandOutbox(sent_seq=last_seq)
        if self.world.switches.claims:
            claim = self.claims.claim("agent", session.epoch, session)
            if claim.superseded is not None:
                self.send_away(claim.superseded)
            if not claim.holds:
                return
        for seq in database.cancels - set(database.results):
            session.outbox.cancel(seq)
        welcome = link_pb2.Frame()
        welcome.welcome.protocol = 1
        welcome.welcome.epoch = session.epoch
        welcome.welcome.limits.CopyFrom(LIMITS.to_proto())
        welcome.welcome.ping_interval_ms = round(PING_SECONDS * 1000)
        session.end.core.send_control(welcome)
        session.end.core.establish(self.world.now, limits=LIMITS, ping_seconds=PING_SECONDS)
        if not self.world.switches.pool:
            session.end._mutate(self.world.switches)

    def send_away(self, session: Session) -> None:
        session.end.core.go_away(link_pb2.GO_AWAY_REASON_SUPERSEDED, "a newer one")
        session.end.leaving = True

    def step(self, rng: random.Random) -> bool:
        """One step of one session's courier, any that is possible."""
        if not self.sessions:
            return False
        session = rng.choice(self.sessions)
        if session.todo:
            session.todo.pop(0)()
            return True
        outbox = session.outbox
        if outbox is None:
            return False
        database = self.world.database
        if (seq := outbox.acknowledgement()) is not None:
            database.acknowledged = max(database.acknowledged, seq)
            self.world.check_journal()
            outbox.acknowledgement_stored(seq)
            return True
        if outbox.results:
            self.carry_result(session, rng.choice(list(outbox.results.values())))
            return True
        if outbox.reports and rng.random() < 0.5:
            self.carry_report(session, rng.choice(list(outbox.reports.values())))
            return True
        outbox.progress.clear()
        after = outbox.fetch_after()
        if after is not None:
            for seq, command in database.commands.items():
                if seq > after and seq not in database.results:
                    if outbox.full:
                        break
                    session.end.core.send_exchange(link_pb2.Frame(command=command))
                    outbox.sent(seq)
            return True
        for seq in outbox.take_cancels():
            frame = link_pb2.Frame()
            frame.command_cancel.seq = seq
            session.end.core.send_exchange(frame)
            return True
        return bool(outbox.reports)

    def carry_result(self, session: Session, result: Result) -> None:
        def store() -> None:
            self.world.database.results.setdefault(result.seq, result)

        def acknowledge() -> None:
            assert session.outbox is not None
            session.outbox.result_stored(result)
            frame = link_pb2.Frame()
            frame.result_ack.seq = result.seq
            session.end.core.send_control(frame)

        if self.world.switches.stored_first:
            store()
            session.todo.append(acknowledge)
        else:
            acknowledge()
            session.todo.append(store)

    def carry_report(self, session: Session, report: report_pb2.Report) -> None:
        assert session.outbox is not None
        session.outbox.report_stored(report)
        database = self.world.database
        if session.epoch != database.epoch and self.world.switches.fencing:
            return
        epoch, version, _ = database.reports.get(report.key, (0, 0, ""))
        newer = (session.epoch, report.version) > (epoch, version)
        if newer or not self.world.switches.fencing:
            must(
                session.epoch >= epoch, "an older connection never overwrites a newer one's report"
            )
            database.reports[report.key] = (session.epoch, report.version, report.app.app_uid)
        frame = link_pb2.Frame()
        frame.report_ack.key, frame.report_ack.version = report.key, report.version
        session.end.core.send_control(frame, ("report_ack", report.key))


# All of it


class World:
    """One schedule: `play` it, then `settle`."""

    must = staticmethod(must)
    pattern = staticmethod(pattern)

    def __init__(self, seed: int, switches: Switches = ALL_ON) -> None:
        self.random = random.Random(seed)
        self.switches = switches
        self.now = 1.0
        self.disk = Disk()
        self.database = Database()
        self.cluster = Cluster()
        self.wires: list[Wire] = []
        self.plane = Plane(self)
        self.agent = Agent(self)
        self.terminals = Terminals(self)
        self.lossy = self.was_lossy = self.random.random() < 0.2
        self.key = 0
        self.follow = Flow(1_000_000)
        self.followed: tuple[End, int] | None = None
        self.actions = (
            (24, self.move),
            (18, lambda: self.agent.step(self.random)),
            (18, lambda: self.plane.step(self.random)),
            (16, self.use_streams),
            (5, self.add_command),
            (1, self.cancel_command),
            (3, self.add_report),
            (4, self.open_stream),
            (3, self.follow_on),
            (10, self.terminals.use),
            (3, self.dial),
            (2, self.let_time_pass),
            (1.2, self.break_something),
        )
        # Each schedule has its own habits: what is rare in one is common in another.
        self.weights = [weight * self.random.choice((0.2, 1, 1, 3)) for weight, _ in self.actions]
        self.calls: list[Callable[[], object]] = [call for _, call in self.actions]

    def play(self, steps: int) -> None:
        """Do so many things drawn from the seed, and check after each what must hold."""
        self.dial()
        for _ in range(6):
            self.move_all()
            self.plane.step(self.random)
        for number, call in enumerate(self.random.choices(self.calls, self.weights, k=steps)):
            call()
            self.sweep()
            if number % 4 == 0:
                self.check()

    # What may happen

    def move(self) -> None:
        """A message goes from one end to the other."""
        if self.wires:
            wire = self.random.choice(self.wires)
            end = wire.ends[self.random.random() < 0.5]
            if end.out:
                end.deliver()
            end.pump()

    def move_all(self) -> bool:
        moved = False
        for wire in self.wires:
            for end in wire.ends:
                end.pump()
                if end.out:
                    end.deliver()
                    moved = True
        return moved

    def use_streams(self) -> None:
        rng = self.random
        end = self.any_end()
        if end is None or not end.states:
            return
        stream_id = rng.choice(list(end.states))
        draw = rng.random()
        if draw < 0.5:
            for _ in range(rng.randrange(1, 8)):
                end.send(stream_id, rng.randrange(1, 4 * KIB))
        elif draw < 0.9:
            end.consume(stream_id, rng.randrange(1, 20))
        elif draw < 0.96:
            state = end.states[stream_id]
            if not state.closed:
                end.core.finish(state)
        else:
            end.core.reset(end.states[stream_id], 1, "CANCELLED", "enough")
            end.handle(end.core.take_events())

    def open_stream(self) -> None:
        end = self.any_end()
        if end is not None:
            self.key += 2
            end.open(Flow(self.key), interactive=self.random.random() < 0.3)

    def follow_on(self) -> None:
        """A log follow on the control plane's end: opened again where it stands after each cut."""
        if self.followed is not None:
            end, stream_id = self.followed
            if end.alive and not end.states[stream_id].closed:
                return
            while end.consume(stream_id, 1000):  # what had arrived is delivered first
                pass
            self.followed = None
        for session in self.plane.sessions:
            if session.epoch == self.database.epoch and session.end.alive:
                stream = session.end.open(self.follow, offset=self.follow.taken)
                if stream is not None:
                    self.followed = (session.end, stream)

    def add_command(self) -> None:
        database = self.database
        if len(database.commands) >= 12:
            return
        seq = len(database.commands) + 1
        command = command_pb2.Command(seq=seq, command_id=f"c{seq}")
        command.delete_app.app_uid = self.random.choice(APPS)
        if self.random.random() < 0.08:
            self.cluster.poison.add(seq)
        database.commands[seq] = command
        for session in self.plane.sessions:
            if session.outbox is not None:
                session.outbox.wake()

    def cancel_command(self) -> None:
        database = self.database
        open_ = [seq for seq in database.commands if seq not in database.results]
        if open_:
            seq = self.random.choice(open_)
            database.cancels.add(seq)
            for session in self.plane.sessions:
                if session.outbox is not None:
                    session.outbox.cancel(seq)

    def add_report(self) -> None:
        self.agent.report(f"k{self.random.randrange(2)}", f"{self.random.random():.6f}")

    def dial(self) -> None:
        """The agent connects when it believes that it is not; sometimes a new process of it does so anyway."""
        agent = self.agent
        if agent.end is not None:
            if agent.end.wire.closing or self.random.random() < 0.15:
                agent.end.alive = False  # the agent drops it; the control plane has not heard of it
                agent.end.out.clear()
                agent.end.wire.die()
                agent.lost(agent.end)
            else:
                return
        wire = Wire(self)
        self.wires.append(wire)
        agent.end = wire.agent
        self.plane.accept(wire.plane)

    def let_time_pass(self) -> None:
        self.advance(self.random.choice((0.001, 0.02, 0.2, 3.0, 16.0)))

    def break_something(self) -> None:
        rng = self.random
        draw = rng.random()
        wire = rng.choice(self.wires) if self.wires else None
        if draw < 0.25 and wire is not None:
            wire.cut()
        elif draw < 0.45 and wire is not None:
            wire.die()
        elif draw < 0.75:
            self.agent.crash()
        else:
            self.plane.crash()

    # Time and checks

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for wire in self.wires:
            for end in wire.ends:
                if end.alive and end.core.next_deadline() <= self.now:
                    end.handle(end.core.tick(self.now))
        self.terminals.expire()

    def sweep(self) -> None:
        for wire in self.wires:
            if wire.closing and not wire.plane.out:
                wire.cut()
        if any(wire.over for wire in self.wires):
            self.wires = [wire for wire in self.wires if not wire.over]
        admitted = sum(
            session.outbox is not None and not session.end.leaving
            for session in self.plane.sessions
        )
        must(admitted <= 1, "one connection of an agent is valid")

    def check(self) -> None:
        for wire in self.wires:
            wire.agent.check()
            wire.plane.check()
        self.terminals.check()

    def check_journal(self) -> None:
        for seq in self.database.commands:
            if seq <= self.database.acknowledged and seq not in self.database.results:
                must(seq in self.disk.rows, "what was acknowledged is on disk")

    def any_end(self) -> End | None:
        if not self.wires:
            return None
        end = self.random.choice(self.wires).ends[self.random.random() < 0.5]
        return end if end.alive else None

    # The end

    def settle(self) -> None:
        """Nothing breaks any more: everything comes to its end, and both ends agree."""
        self.lossy = False
        until = self.now + 400.0
        while True:
            self.run_dry()
            if self.at_rest():
                break
            must(self.now < until, f"everything comes to its end: {self.what_is_left()}")
            self.advance(self.until_something_is_due())
        self.check_journal()
        database = self.database
        for seq, command in database.commands.items():
            result = database.results[seq]
            if seq in self.cluster.poison:
                must(self.cluster.effects[seq] == 0, "a poison command has no effect")
            elif result.code == 0:
                must(self.cluster.effects[seq] == 1, "a command that went well had its effect once")
            must(command.seq in database.results, "no command is lost")
        for key, value in self.agent.said.items():
            must(database.reports[key][2] == value, "the newest report is what is known")

    def until_something_is_due(self) -> float:
        """Now nobody oversleeps, as a shell with a timer does not."""
        due = [
            end.core.next_deadline() - self.now
            for wire in self.wires
            for end in wire.ends
            if end.alive
        ]
        return max(0.5, min([10.0, *due]))

    def run_dry(self) -> None:
        moved, rounds = True, 0
        while moved:
            rounds += 1
            must(rounds < 600, f"everything comes to its end: {self.what_is_left()}")
            if self.agent.end is None or self.agent.end.wire.closing:
                self.dial()
            moved = self.move_all()
            for _ in range(100):
                if not self.agent.step(self.random):
                    break
                moved = True
            for _ in range(2 * len(self.plane.sessions)):
                moved = self.plane.step(self.random) or moved
            for wire in self.wires:
                for end in wire.ends:
                    if not end.alive:
                        continue
                    for stream_id, state in list(end.states.items()):
                        moved = end.consume(stream_id, 1000) or moved
                        if not state.closed and not state.fin_queued:
                            end.core.finish(state)
                            moved = True
            moved = self.terminals.run_dry() or moved
            self.sweep()
        self.check()

    def at_rest(self) -> bool:
        if len(self.wires) != 1 or not self.agent.up:
            return False
        (wire,) = self.wires
        if wire.agent.core.streams or wire.plane.core.streams:
            return False
        return (
            self.database.commands.keys() == self.database.results.keys()
            and not self.disk.rows
            and not self.agent.board.pending()
            and self.terminals.at_rest
        )

    def what_is_left(self) -> str:
        streams = [
            (sorted(wire.agent.core.streams), sorted(wire.plane.core.streams))
            for wire in self.wires
        ]
        open_ = sorted(self.database.commands.keys() - self.database.results.keys())
        return (
            f"connections {len(self.wires)}, streams {streams}, commands {open_}, journal "
            f"{sorted(self.disk.rows)}, reports {[r.key for r in self.agent.board.pending()]}"
        )


def run(seed: int, switches: Switches = ALL_ON, *, steps: int = 120) -> World:
    """One schedule from beginning to end. Raises `Violation`."""
    world = World(seed, switches)
    world.play(steps)
    world.settle()
    return world
