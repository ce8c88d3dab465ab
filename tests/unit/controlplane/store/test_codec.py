"""Domain objects to JSON and back."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.domain.apps import App, DeployStarted
from controlplane.domain.clusters import Cluster, IssuedJoinToken
from controlplane.domain.commands import DeployApp
from controlplane.domain.deployments import Deployment
from controlplane.domain.operations import Operation
from controlplane.domain.projects import Environment, Project
from controlplane.services.environments import EnvironmentCreated
from controlplane.store.codec import decode, encode

STORED = [
    App,
    Cluster,
    DeployApp,
    DeployStarted,
    Deployment,
    Environment,
    EnvironmentCreated,
    IssuedJoinToken,
    Operation,
    Project,
]

# Whole seconds are what a duration column of JSON holds exactly.
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(timedelta, st.integers(0, 10**6).map(lambda s: timedelta(seconds=s)))
st.register_type_strategy(str, st.text(max_size=8))


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_is_stored_comes_back(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(st.builds(kind))
    assert decode(kind, json.loads(json.dumps(encode(value)))) == value


@dataclass(frozen=True, slots=True)
class Before:
    name: str
    gone: int


@dataclass(frozen=True, slots=True)
class After:
    name: str
    new: int = 7


def test_rows_of_an_older_version_stay_readable() -> None:
    assert decode(After, encode(Before("x", 1))) == After("x", 7)


def test_what_the_domain_does_not_use_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        encode(object())
