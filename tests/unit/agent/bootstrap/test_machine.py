"""The add-on state machine: each transition, and that a simulated cluster always converges."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bootstrap.machine import (
    Action,
    Backoff,
    Observation,
    Phase,
    Record,
    State,
    Wanted,
    applying_failed,
    decide,
    retry_now,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BACKOFF = Backoff(first=10, most=100, jitter=0.0)
WANTED = Wanted(enabled=True, spec_hash="h1", timeout=timedelta(seconds=60))
FRESH = Record(State.PENDING, NOW)
ABSENT = Observation(Phase.ABSENT)
READY = Observation(Phase.SUCCEEDED, run="job1", ready=True)
FAILED = Observation(Phase.FAILED, run="job1", message="cannot reach it", log_tail="Error: no")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def step(record, seen, seconds=0.0, wanted=WANTED):
    return decide(wanted, record, seen, after(seconds), BACKOFF, 0.5)


def installing() -> Record:
    return step(FRESH, ABSENT).record


def failed() -> Record:
    return step(installing(), FAILED, 5).record


def test_an_absent_add_on_is_applied():
    decision = step(FRESH, ABSENT)
    assert decision.action is Action.APPLY
    assert decision.record.state is State.INSTALLING
    assert decision.record.attempts == 1
    assert decision.look_again == after(60)


def test_one_that_waits_for_another_is_not_applied():
    decision = step(FRESH, ABSENT, wanted=replace(WANTED, waits_for=("garage",)))
    assert decision.action is Action.NONE
    assert decision.record.state is State.PENDING
    assert decision.record.message == "waits for garage"


def test_done_and_ready_is_ready():
    decision = step(installing(), READY, 5)
    assert decision.record.state is State.READY
    assert decision.action is Action.NONE
    assert decision.record.attempts == 1


def test_done_but_not_ready_is_still_installing_and_says_why():
    seen = replace(READY, ready=False, message="0 of 1 pods are ready")
    decision = step(installing(), seen, 5)
    assert decision.record.state is State.INSTALLING
    assert decision.record.message == "0 of 1 pods are ready"


def test_a_failed_run_is_failed_with_its_reason_log_and_retry_time():
    record = failed()
    assert record.state is State.FAILED
    assert record.message == "cannot reach it"
    assert record.log_tail == "Error: no"
    assert record.retry_at == after(15)


def test_a_failed_one_waits_for_its_retry_time():
    decision = step(failed(), FAILED, 14)
    assert decision.action is Action.NONE
    assert decision.record.state is State.FAILED
    assert decision.look_again == after(15)


def test_a_failed_one_is_retried_when_due():
    decision = step(failed(), FAILED, 15)
    assert decision.action is Action.RETRY
    assert decision.record.state is State.INSTALLING
    assert decision.record.attempts == 2


def test_the_second_failure_waits_twice_as_long():
    again = step(failed(), FAILED, 15).record
    record = step(again, replace(FAILED, run="job2"), 20).record
    assert record.attempts == 2
    assert record.retry_at == after(40)


def test_retry_now_brings_the_next_try_forward():
    decision = step(retry_now(failed(), after(6)), FAILED, 6)
    assert decision.action is Action.RETRY


def test_retry_now_leaves_a_ready_one_alone():
    record = step(installing(), READY).record
    assert retry_now(record, NOW) == record


def test_a_failed_one_that_came_right_is_ready_at_once():
    decision = step(failed(), replace(READY, run="job1"), 6)
    assert decision.record.state is State.READY
    assert decision.record.retry_at is None


def test_a_run_begun_behind_our_back_is_followed():
    decision = step(failed(), Observation(Phase.RUNNING, run="job2", message="helm is at work"), 6)
    assert decision.record.state is State.INSTALLING
    assert decision.record.attempts == 2


def test_a_hanging_run_fails_when_its_time_is_over():
    hanging = Observation(Phase.RUNNING, run="job1", message="image not found")
    decision = step(step(installing(), hanging, 1).record, hanging, 60)
    assert decision.record.state is State.FAILED
    assert decision.record.message == "not ready after 60 s: image not found"


def test_a_hanging_run_that_failed_stays_failed_while_it_hangs_on():
    hanging = Observation(Phase.RUNNING, run="job1", message="image not found")
    record = step(step(installing(), hanging, 1).record, hanging, 60).record
    assert step(record, hanging, 65).record.state is State.FAILED


def test_another_configuration_is_applied_at_once_even_after_a_failure():
    decision = step(
        failed(), replace(FAILED, phase=Phase.OUTDATED), 6, replace(WANTED, spec_hash="h2")
    )
    assert decision.action is Action.APPLY
    assert decision.record.attempts == 1


def test_an_upgrade_of_a_ready_one_installs_and_gets_ready():
    ready = step(installing(), READY).record
    wanted = replace(WANTED, spec_hash="h2")
    decision = step(ready, Observation(Phase.OUTDATED), 100, wanted)
    assert (decision.action, decision.record.state) == (Action.APPLY, State.INSTALLING)
    assert (
        step(decision.record, replace(READY, run="job2"), 110, wanted).record.state is State.READY
    )


def test_a_ready_one_that_went_away_installs_again_with_the_reason():
    ready = step(installing(), READY).record
    decision = step(ready, replace(READY, ready=False, message="0 of 1 pods are ready"), 100)
    assert decision.record.state is State.INSTALLING
    assert decision.record.message == "was ready, but now: 0 of 1 pods are ready"
    assert decision.look_again == after(160)


def test_a_ready_one_that_was_deleted_is_applied_again():
    ready = step(installing(), READY).record
    assert step(ready, ABSENT, 100).action is Action.APPLY


def test_somebody_elses_is_left_alone():
    decision = step(FRESH, replace(ABSENT, foreign="Deployment cnpg in cnpg-system"))
    assert decision.action is Action.NONE
    assert decision.record.state is State.EXTERNAL
    assert "Deployment cnpg in cnpg-system" in decision.record.message


def test_somebody_elses_that_vanished_is_installed():
    record = step(FRESH, replace(ABSENT, foreign="x")).record
    assert step(record, ABSENT, 10).action is Action.APPLY


def test_a_disabled_one_is_not_applied():
    decision = step(FRESH, ABSENT, wanted=replace(WANTED, enabled=False))
    assert (decision.action, decision.record.state) == (Action.NONE, State.DISABLED)


def test_disabling_keeps_what_is_installed_and_says_so():
    decision = step(FRESH, READY, wanted=replace(WANTED, enabled=False))
    assert decision.action is Action.NONE
    assert "stays until you remove it" in decision.record.message


def test_without_a_helm_controller_it_is_pending_with_the_reason():
    decision = step(FRESH, replace(ABSENT, blocked="no HelmChart here"))
    assert decision.record.state is State.PENDING
    assert decision.record.message == "no HelmChart here"


def test_nothing_is_applied_while_the_old_one_is_being_removed():
    decision = step(installing(), Observation(Phase.REMOVING, message="being deleted"))
    assert decision.action is Action.NONE
    assert decision.record.state is State.PENDING


def test_a_refused_apply_is_a_failed_try():
    decision = applying_failed(installing(), "conflict with kubectl", NOW, BACKOFF, 0.5)
    assert decision.record.state is State.FAILED
    assert decision.record.message == "conflict with kubectl"
    assert step(decision.record, ABSENT, 5).action is Action.NONE
    assert step(decision.record, ABSENT, 10).action is Action.APPLY


def test_a_lost_record_does_not_repeat_a_running_installation():
    decision = step(FRESH, Observation(Phase.RUNNING, run="job1", message="helm is at work"))
    assert decision.action is Action.NONE
    assert decision.record.state is State.INSTALLING


def test_the_transition_time_is_that_of_the_last_change_of_state():
    first = step(installing(), Observation(Phase.RUNNING, run="j"), 5).record
    assert first.changed == NOW
    assert step(first, READY, 9).record.changed == after(9)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 10), (1, 10), (2, 20), (3, 40), (9, 100), (10_000, 100)]
)
def test_the_delay_doubles_up_to_its_bound(attempts, seconds):
    assert BACKOFF.delay(attempts, 0.5) == timedelta(seconds=seconds)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_spread_stays_within_its_share(attempts, chance):
    plain = Backoff(10, 100, 0.0).delay(attempts, chance).total_seconds()
    spread = Backoff(10, 100, 0.25).delay(attempts, chance).total_seconds()
    assert plain * 0.75 <= spread <= plain * 1.25


class Cluster:
    """A cluster as the machine sees it; the repository may be down, runs take time, records get lost."""

    def __init__(self) -> None:
        self.installed: str | None = None
        self.run = 0
        self.phase = Phase.ABSENT
        self.repository = False
        self.healthy = True

    def observe(self, wanted: str) -> Observation:
        if self.installed is None:
            return ABSENT
        if self.installed != wanted:
            return Observation(Phase.OUTDATED, run=str(self.run))
        ready = self.phase is Phase.SUCCEEDED and self.healthy
        return Observation(self.phase, run=str(self.run), ready=ready, message="m")

    def act(self, action: Action, wanted: str) -> None:
        if action is not Action.NONE:
            self.installed, self.phase = wanted, Phase.RUNNING
            self.run += 1

    def work(self) -> None:
        if self.phase is Phase.RUNNING:
            self.phase = Phase.SUCCEEDED if self.repository else Phase.FAILED


EVENTS = st.sampled_from(
    [
        "round",
        "killed before record",
        "work",
        "record lost",
        "repository",
        "sick",
        "deleted",
        "upgrade",
        "time",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_whatever_happens_it_converges_once_things_are_well(events):
    cluster, record, now, spec = Cluster(), FRESH, NOW, "h1"
    for event in events:
        now += timedelta(seconds=1)
        wanted = replace(WANTED, spec_hash=spec)
        match event:
            case "round" | "killed before record":
                seen = cluster.observe(spec)
                decision = decide(wanted, record, seen, now, BACKOFF, 0.5)
                waiting = record.state is State.FAILED and record.spec_hash == spec
                if waiting and record.retry_at and now < record.retry_at and seen.run == record.run:
                    assert decision.action is Action.NONE, "retried before its time"
                if decision.record.state is State.READY:
                    assert seen.ready
                cluster.act(decision.action, spec)
                if event == "round":
                    record = decision.record
            case "work":
                cluster.work()
            case "record lost":
                record = Record(State.PENDING, now)
            case "repository":
                cluster.repository = not cluster.repository
            case "sick":
                cluster.healthy = not cluster.healthy
            case "deleted":
                cluster.installed, cluster.phase = None, Phase.ABSENT
            case "upgrade":
                spec = f"{spec}+"
            case "time":
                now += timedelta(seconds=50)

    cluster.repository = cluster.healthy = True
    wanted = replace(WANTED, spec_hash=spec)
    for _ in range(12):
        now += timedelta(seconds=101)  # beyond every retry time and deadline
        decision = decide(wanted, record, cluster.observe(spec), now, BACKOFF, 0.5)
        cluster.act(decision.action, spec)
        record = decision.record
        now += timedelta(seconds=1)
        cluster.work()
        record = decide(wanted, record, cluster.observe(spec), now, BACKOFF, 0.5).record
    assert record.state is State.READY
    runs = cluster.run
    assert decide(wanted, record, cluster.observe(spec), now, BACKOFF, 0.5).action is Action.NONE
    assert cluster.run == runs
