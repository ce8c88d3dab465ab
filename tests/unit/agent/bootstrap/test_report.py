"""A record as the control plane gets it."""

from __future__ import annotations

from datetime import UTC, datetime

from skerry.platform.v1 import cluster_pb2

from agent.bootstrap.addon import AddOn, ManifestSource
from agent.bootstrap.machine import Record, State
from agent.bootstrap.report import report_key, status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADD_ON = AddOn(name="store", version="2.5.0", source=ManifestSource(()), depends_on=("base",))


def test_everything_that_is_known_is_said():
    record = Record(
        State.FAILED, NOW, message="no route", log_tail="Error", attempts=3, retry_at=NOW
    )
    report = status(ADD_ON, record)
    assert (report.name, report.version, report.state) == ("store", "2.5.0", "FAILED")
    assert (report.message, report.log_tail, report.attempts) == ("no route", "Error", 3)
    assert report.retry_time.ToDatetime(tzinfo=UTC) == NOW
    assert list(report.depends_on) == ["base"]


def test_no_retry_time_is_no_time():
    assert not status(ADD_ON, Record(State.READY, NOW)).HasField("retry_time")


def test_every_state_is_one_of_the_apis():
    values = cluster_pb2.AddOnState.DESCRIPTOR.values
    known = {value.name.removeprefix("ADD_ON_STATE_") for value in values}
    assert {state.value for state in State} <= known


def test_the_key():
    assert report_key("garage") == "addons/garage"
