"""When a rollout is given up, and when it counts as arrived: decisions on a clock of the test's."""

from __future__ import annotations

import pytest

from agent.workloads.model import PodStatus, ServiceStatus, State
from agent.workloads.rollout import RolloutJudge, RolloutPolicy, Target, has_arrived
from agent.workloads.status import Assessment
from agent.workloads.troubles import Reason, Trouble

POLICY = RolloutPolicy(
    patience={Reason.IMAGE_NOT_FOUND: 20.0, Reason.JOB_FAILED: 0.0},
    crash_restarts=3,
    steady=2.0,
    steady_after_crash=10.0,
)
WEB = Target("Deployment", "web", "uid", 1, "web")


def seen(
    trouble: Trouble | None = None,
    *,
    done: bool = False,
    ready: int = 0,
    probed: bool = True,
    restarts: int = 0,
    pod: str = "web-1",
) -> Assessment:
    pods = (PodStatus(pod, "Running", ready=True, restarts=restarts),)
    status = ServiceStatus(
        "web", "Deployment", State.PROGRESSING, message="0 of 1", ready=ready, pods=pods
    )
    return Assessment(status, done=done, trouble=trouble, probed=probed)


def judge(deadline: float = 60.0) -> RolloutJudge:
    return RolloutJudge(POLICY, deadline, now=0.0)


MISSING = Trouble(Reason.IMAGE_NOT_FOUND, "image x cannot be pulled")


def test_a_missing_image_is_believed_to_come_for_a_while() -> None:
    judged = judge()
    assert judged.judge([(WEB, seen(MISSING))], 1.0) is None
    assert judged.judge([(WEB, seen(MISSING))], 20.9) is None
    failure = judged.judge([(WEB, seen(MISSING))], 21.1)
    assert failure is not None
    assert (failure.service, failure.reason) == ("web", "ImageNotFound")


def test_a_trouble_that_went_away_begins_anew() -> None:
    judged = judge()
    judged.judge([(WEB, seen(MISSING))], 0.0)
    judged.judge([(WEB, seen())], 15.0)
    assert judged.judge([(WEB, seen(MISSING))], 25.0) is None


@pytest.mark.parametrize(("restarts", "fails"), [(0, False), (2, False), (3, True), (9, True)])
def test_a_crash_loop_is_given_up_after_some_restarts(restarts: int, fails: bool) -> None:
    crash = Trouble(Reason.CRASH_LOOP, "exits with code 1", restarts=restarts, crashed=True)
    assert (judge().judge([(WEB, seen(crash))], 1.0) is not None) is fails


def test_a_failed_job_is_given_up_at_once() -> None:
    failed = Trouble(Reason.JOB_FAILED, "failed: exits with code 1")
    assert judge().judge([(WEB, seen(failed))], 0.0) is not None


def test_what_passes_by_itself_is_given_up_only_at_the_deadline() -> None:
    full = Trouble(Reason.UNSCHEDULABLE, "not enough memory")
    judged = judge(deadline=60.0)
    assert judged.judge([(WEB, seen(full))], 0.0) is None
    assert judged.judge([(WEB, seen(full))], 59.0) is None
    failure = judged.judge([(WEB, seen(full))], 60.0)
    assert failure is not None
    assert failure.reason == "Unschedulable"
    assert failure.message == "no progress for 60 s: not enough memory"


def test_progress_moves_the_deadline() -> None:
    judged = judge(deadline=60.0)
    judged.judge([(WEB, seen())], 0.0)
    judged.judge([(WEB, seen(ready=1))], 50.0)
    assert judged.judge([(WEB, seen(ready=1))], 100.0) is None
    assert judged.judge([(WEB, seen(ready=1))], 110.0) is not None


def test_going_back_is_no_progress() -> None:
    judged = judge(deadline=60.0)
    judged.judge([(WEB, seen(ready=2))], 0.0)
    judged.judge([(WEB, seen(ready=1))], 30.0)
    judged.judge([(WEB, seen(ready=2))], 50.0)
    assert judged.judge([(WEB, seen(ready=2))], 60.0) is not None


def test_the_next_look_is_when_time_alone_may_change_something() -> None:
    judged = judge(deadline=60.0)
    judged.judge([(WEB, seen(MISSING))], 10.0)
    assert judged.next_look(10.0) == pytest.approx(20.0)
    judged.judge([(WEB, seen())], 15.0)
    assert judged.next_look(15.0) == pytest.approx(55.0)


def test_a_service_with_a_health_check_has_arrived_when_it_is_ready() -> None:
    assert judge().arrived([(WEB, seen(done=True))], 0.0)


def test_a_service_without_one_must_live_a_little() -> None:
    judged = judge()
    lives = [(WEB, seen(done=True, probed=False))]
    assert not judged.arrived(lives, 5.0)
    assert judged.next_look(5.0) == pytest.approx(2.0)
    assert not judged.arrived(lives, 6.9)
    assert judged.arrived(lives, 7.0)


def test_a_restart_begins_the_wait_anew_and_makes_it_longer() -> None:
    judged = judge()
    judged.arrived([(WEB, seen(done=True, probed=False))], 0.0)
    again = [(WEB, seen(done=True, probed=False, restarts=1))]
    assert not judged.arrived(again, 3.0)
    assert not judged.arrived(again, 12.9)
    assert judged.arrived(again, 13.0)


def test_what_the_deploy_did_not_change_has_proved_itself() -> None:
    same = Target("Deployment", "web", "uid", 1, "web", changed=False)
    assert judge().arrived([(same, seen(done=True, probed=False))], 0.0)


@pytest.mark.parametrize(
    ("must_complete", "done", "started", "arrived"),
    [
        (True, False, True, False),
        (True, True, True, True),
        (False, False, True, True),
        (False, False, False, False),
    ],
)
def test_only_a_job_that_others_wait_for_must_complete(
    must_complete: bool, done: bool, started: bool, arrived: bool
) -> None:
    job = Target("Job", "migrate", "uid", 1, "migrate", must_complete=must_complete)
    status = ServiceStatus("migrate", "Job", State.PROGRESSING)
    found = Assessment(status, done=done, trouble=None, started=started)
    assert has_arrived(job, found) is arrived
