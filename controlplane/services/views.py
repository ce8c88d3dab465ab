"""What is shown of what is stored: the last observation, or that nobody can know. Used wherever apps and the like are handed out."""

import dataclasses
from datetime import datetime

from controlplane.domain.apps import App
from controlplane.domain.clusters import ConnectionState
from controlplane.domain.names import ClusterName
from controlplane.domain.operations import Operation
from controlplane.domain.projects import Environment
from controlplane.domain.workloads import Condition, State

# What does not depend on the agent: wanted but not begun, and on its way out.
_KNOWN_HERE = frozenset({State.PENDING, State.DELETING})
_STATUS = {
    ConnectionState.ONLINE: True,
    ConnectionState.DEGRADED: True,
    ConnectionState.UNKNOWN: None,
    ConnectionState.OFFLINE: False,
    ConnectionState.NEVER_JOINED: False,
}
_REASON = {
    ConnectionState.ONLINE: "AgentOnline",
    ConnectionState.DEGRADED: "AgentDegraded",
    ConnectionState.UNKNOWN: "AgentSilent",
    ConnectionState.OFFLINE: "AgentOffline",
    ConnectionState.NEVER_JOINED: "AgentNeverJoined",
}


def app_view(app: App, connection: ConnectionState) -> App:
    """The app as of now: UNKNOWN when its agent is not there, whatever was last observed."""
    return dataclasses.replace(
        app,
        state=_state(app.state, connection),
        conditions=(*app.conditions, _connected(app.cluster, connection, app.update_time)),
    )


def environment_view(environment: Environment, connection: ConnectionState) -> Environment:
    """The environment as of now."""
    return dataclasses.replace(
        environment,
        state=_state(environment.state, connection),
        conditions=(
            *environment.conditions,
            _connected(environment.cluster, connection, environment.update_time),
        ),
    )


def operation_view(operation: Operation, connection: ConnectionState) -> Operation:
    """The operation as of now: while it waits for an absent agent it says so."""
    if operation.done or connection is ConnectionState.ONLINE:
        return operation
    return dataclasses.replace(operation, message=waiting_for(operation.cluster, connection))


def waiting_for(cluster: ClusterName, connection: ConnectionState) -> str:
    """Why nothing happens, and what to do about it."""
    if connection is ConnectionState.NEVER_JOINED:
        return f"waiting for an agent to join {cluster}: make a join token and start one"
    return f"waiting for the agent of {cluster}"


def with_condition(
    conditions: tuple[Condition, ...],
    kind: str,
    *,
    status: bool | None,
    reason: str,
    message: str,
    now: datetime,
) -> tuple[Condition, ...]:
    """The conditions with this one put in; its transition time stays while its status does."""
    since = now
    for old in conditions:
        if old.type == kind and old.status is status:
            since = old.transition_time
    condition = Condition(kind, status, reason, message, since)
    return (*(old for old in conditions if old.type != kind), condition)


def _state(observed: State, connection: ConnectionState) -> State:
    if connection is ConnectionState.ONLINE or observed in _KNOWN_HERE:
        return observed
    return State.UNKNOWN


def _connected(cluster: ClusterName, connection: ConnectionState, since: datetime) -> Condition:
    message = ""
    if connection is not ConnectionState.ONLINE:
        message = (
            f"{waiting_for(cluster, connection)}; what was last observed may no longer be so"
            if connection is not ConnectionState.NEVER_JOINED
            else waiting_for(cluster, connection)
        )
    return Condition("AgentConnected", _STATUS[connection], _REASON[connection], message, since)
