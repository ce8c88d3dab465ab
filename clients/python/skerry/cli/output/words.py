"""States, ages and sizes in plain words. Used by the tables and by the views of a deploy."""

from __future__ import annotations

from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from skerry.cli.output.tone import Tone
from skerry.platform.v1 import app_pb2, cluster_pb2, deployment_pb2, state_pb2


def age(moment: Timestamp, now: datetime) -> str:
    """How long ago: `4s`, `12m`, `3h`, `9d`; empty for an unset time."""
    if not moment.seconds:
        return ""
    return span(timedelta(seconds=max(now.timestamp() - moment.seconds, 0)))


def span(length: timedelta) -> str:
    """A span by its largest unit."""
    seconds = int(length.total_seconds())
    for unit, size, from_ in (("d", 86400, 172800), ("h", 3600, 7200), ("m", 60, 120)):
        if seconds >= from_:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def size(count: int) -> str:
    """Bytes: `312 B`, `4.1 KiB`, `1.0 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def state(value: state_pb2.State.ValueType) -> tuple[str, Tone]:
    """A workload's state."""
    return _word(state_pb2.State.Name, value, "STATE_"), _STATES.get(value, Tone.PLAIN)


def connection(value: cluster_pb2.ConnectionState.ValueType) -> tuple[str, Tone]:
    """Whether a cluster's agent is connected."""
    word = _word(cluster_pb2.ConnectionState.Name, value, "CONNECTION_STATE_")
    return word, _CONNECTIONS.get(value, Tone.PLAIN)


def identity(value: cluster_pb2.ClusterIdentity, now: datetime) -> tuple[str, Tone]:
    """What an agent's identity is worth, and how long its certificate lives: `active 31h`, `renewing 31h`, `locked`."""
    if value.state != cluster_pb2.IDENTITY_STATE_ACTIVE:
        if not value.state:
            return "", Tone.PLAIN
        return _word(cluster_pb2.IdentityState.Name, value.state, "IDENTITY_STATE_"), Tone.BAD
    left = value.expire_time.seconds - now.timestamp()
    if left <= 0:
        return "expired", Tone.BAD
    word = "renewing" if value.renewal_pending else "active"
    tone = Tone.BUSY if value.renewal_pending else Tone.GOOD
    return f"{word} {span(timedelta(seconds=left))}", tone


def add_on(value: cluster_pb2.AddOnState.ValueType) -> tuple[str, Tone]:
    """Where an add-on stands."""
    word = _word(cluster_pb2.AddOnState.Name, value, "ADD_ON_STATE_")
    return word, _ADD_ONS.get(value, Tone.PLAIN)


def phase(value: deployment_pb2.DeploymentPhase.ValueType) -> tuple[str, Tone]:
    """How far a rollout is."""
    word = _word(deployment_pb2.DeploymentPhase.Name, value, "DEPLOYMENT_PHASE_")
    return word, _PHASES.get(value, Tone.BUSY)


def action(value: app_pb2.ChangeAction.ValueType) -> tuple[str, Tone]:
    """What a deploy would do to an object."""
    word = _word(app_pb2.ChangeAction.Name, value, "CHANGE_ACTION_")
    return word, _ACTIONS.get(value, Tone.PLAIN)


def severity(value: state_pb2.Severity.ValueType) -> tuple[str, Tone]:
    """How bad a diagnostic is."""
    word = _word(state_pb2.Severity.Name, value, "SEVERITY_")
    return word, _SEVERITIES.get(value, Tone.PLAIN)


def _word(name: object, value: int, prefix: str) -> str:
    """The enum member in lower case; a member newer than this client by its number."""
    try:
        return name(value).removeprefix(prefix).lower().replace("_", "-")  # type: ignore[operator, no-any-return]
    except ValueError:
        return f"({value})"


_STATES = {
    state_pb2.STATE_PENDING: Tone.BUSY,
    state_pb2.STATE_PROGRESSING: Tone.BUSY,
    state_pb2.STATE_READY: Tone.GOOD,
    state_pb2.STATE_SLEEPING: Tone.DIM,
    state_pb2.STATE_DEGRADED: Tone.BAD,
    state_pb2.STATE_FAILED: Tone.BAD,
    state_pb2.STATE_STOPPED: Tone.DIM,
    state_pb2.STATE_DELETING: Tone.BUSY,
    state_pb2.STATE_UNKNOWN: Tone.BUSY,
}
_CONNECTIONS = {
    cluster_pb2.CONNECTION_STATE_NEVER_JOINED: Tone.BUSY,
    cluster_pb2.CONNECTION_STATE_ONLINE: Tone.GOOD,
    cluster_pb2.CONNECTION_STATE_DEGRADED: Tone.BUSY,
    cluster_pb2.CONNECTION_STATE_UNKNOWN: Tone.BUSY,
    cluster_pb2.CONNECTION_STATE_OFFLINE: Tone.BAD,
}
_ADD_ONS = {
    cluster_pb2.ADD_ON_STATE_PENDING: Tone.DIM,
    cluster_pb2.ADD_ON_STATE_INSTALLING: Tone.BUSY,
    cluster_pb2.ADD_ON_STATE_READY: Tone.GOOD,
    cluster_pb2.ADD_ON_STATE_FAILED: Tone.BAD,
    cluster_pb2.ADD_ON_STATE_EXTERNAL: Tone.GOOD,
    cluster_pb2.ADD_ON_STATE_DISABLED: Tone.DIM,
}
_PHASES = {
    deployment_pb2.DEPLOYMENT_PHASE_READY: Tone.GOOD,
    deployment_pb2.DEPLOYMENT_PHASE_FAILED: Tone.BAD,
    deployment_pb2.DEPLOYMENT_PHASE_CANCELLED: Tone.BAD,
    deployment_pb2.DEPLOYMENT_PHASE_SUPERSEDED: Tone.DIM,
}
_ACTIONS = {
    app_pb2.CHANGE_ACTION_CREATE: Tone.GOOD,
    app_pb2.CHANGE_ACTION_UPDATE: Tone.BUSY,
    app_pb2.CHANGE_ACTION_UNCHANGED: Tone.DIM,
    app_pb2.CHANGE_ACTION_DELETE: Tone.BAD,
    app_pb2.CHANGE_ACTION_REFUSED: Tone.BAD,
}
_SEVERITIES = {
    state_pb2.SEVERITY_ERROR: Tone.BAD,
    state_pb2.SEVERITY_WARNING: Tone.BUSY,
    state_pb2.SEVERITY_INFO: Tone.DIM,
}
