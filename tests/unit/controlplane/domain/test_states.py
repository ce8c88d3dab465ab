"""Phases of deployments, connection states, namespaces."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.domain.clusters import ConnectionState, connection_state
from controlplane.domain.deployments import (
    ENDED,
    TRANSITIONS,
    DeploymentPhase,
    IllegalTransition,
    check_transition,
)
from controlplane.domain.errors import InvalidField
from controlplane.domain.names import EnvironmentName
from controlplane.domain.projects import namespace_for
from controlplane.domain.requests import IdempotencyKey

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PHASES = st.sampled_from(DeploymentPhase)


def test_every_phase_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(DeploymentPhase)


@given(PHASES)
def test_an_end_is_an_end(phase: DeploymentPhase) -> None:
    for end in ENDED:
        with pytest.raises(IllegalTransition):
            check_transition(end, phase)


@given(PHASES)
def test_nothing_is_queued_twice(phase: DeploymentPhase) -> None:
    if phase is not DeploymentPhase.QUEUED:
        with pytest.raises(IllegalTransition):
            check_transition(phase, DeploymentPhase.QUEUED)


@given(st.lists(PHASES))
def test_a_walk_along_the_table_has_at_most_one_end(steps: list[DeploymentPhase]) -> None:
    phase = DeploymentPhase.QUEUED
    ends = 0
    for step in steps:
        if step in TRANSITIONS[phase]:
            check_transition(phase, step)
            phase = step
            ends += phase.ended
    assert ends == phase.ended


@pytest.mark.parametrize(
    ("silent", "live", "expected"),
    [
        (0, True, ConnectionState.ONLINE),
        (20, True, ConnectionState.ONLINE),
        (20.1, True, ConnectionState.UNKNOWN),
        (60, True, ConnectionState.OFFLINE),
        (0, False, ConnectionState.UNKNOWN),
        (59.9, False, ConnectionState.UNKNOWN),
        (60, False, ConnectionState.OFFLINE),
    ],
)
def test_connection_states(silent: float, live: bool, expected: ConnectionState) -> None:
    seen = NOW - timedelta(seconds=silent)
    assert connection_state(seen, live=live, now=NOW) is expected


def test_nobody_ever_seen_never_joined() -> None:
    assert connection_state(None, live=False, now=NOW) is ConnectionState.NEVER_JOINED


def test_the_longest_namespace_fits() -> None:
    name = EnvironmentName("default", "p" * 30, "e" * 20)
    namespace = namespace_for(name, "01kdvdna0000000000000abcde")
    assert namespace.endswith("-0abcde")
    assert len(namespace) <= 63


def test_a_request_id_is_a_uuid() -> None:
    with pytest.raises(InvalidField, match="request_id"):
        IdempotencyKey("p", "m", "not a uuid", b"")
