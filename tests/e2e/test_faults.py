"""Crashes and cuts: everything converges, nothing is lost or done twice."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from tests.e2e.platform import Platform
from tests.e2e.waiting import wait_until
from tests.e2e.workload import (
    COUNTER,
    SLOW_START,
    assert_counts_without_a_hole,
    assert_deployed_once,
    deploy,
    following,
    wait_for_the_job,
)


def test_log_follow_goes_on_over_a_pod_restart(
    platform: Platform, environment: str, project: Path
) -> None:
    deploy(platform, environment, project, COUNTER, "--wait")
    namespace = platform.json("env", "get", environment)["namespace"]
    with following(platform, "--env", environment, "counter") as follower:
        follower.wait_for_more(50)
        first = len(follower.lines)
        platform.kubectl("delete", "pod", "-n", namespace, "-l", "skerry.dev/app=counter")
        wait_until(
            "the new pod's first line",
            lambda: any(b"count 1\n" in line for line in follower.lines[first:]),
        )
        follower.wait_for_more(50)
        lines = follower.stop()
    _assert_two_pods_count_without_a_hole(lines)


def test_log_follow_survives_a_cut_of_30_seconds_without_losing_or_doubling_a_line(
    platform: Platform, environment: str, project: Path
) -> None:
    deploy(platform, environment, project, COUNTER, "--wait")
    with following(platform, "--env", environment, "counter") as follower:
        follower.wait_for_more(50)
        platform.proxy.cut()
        threading.Event().wait(30)  # the length of the outage is what is tested
        platform.proxy.heal()
        follower.wait_for_more(2000)
        lines = follower.stop()
    assert_counts_without_a_hole(lines)
    platform.wait_connection("ONLINE")


def test_log_follow_survives_a_killed_agent(
    platform: Platform, environment: str, project: Path
) -> None:
    deploy(platform, environment, project, COUNTER, "--wait")
    with following(platform, "--env", environment, "counter") as follower:
        follower.wait_for_more(50)
        platform.agent.kill()
        platform.agent.start()
        follower.wait_for_more(300)
        lines = follower.stop()
    assert_counts_without_a_hole(lines)


def test_log_follow_survives_a_killed_control_plane(
    platform: Platform, environment: str, project: Path
) -> None:
    deploy(platform, environment, project, COUNTER, "--wait")
    with following(platform, "--env", environment, "counter") as follower:
        follower.wait_for_more(50)
        platform.controlplane.kill()
        platform.controlplane.start()
        follower.wait_for_more(300)
        lines = follower.stop()
    assert_counts_without_a_hole(lines)
    platform.wait_ready()
    platform.wait_connection("ONLINE")


def test_deploy_converges_when_the_agent_is_killed_half_way(
    platform: Platform, environment: str, project: Path
) -> None:
    deploy(platform, environment, project, SLOW_START, "--detach")
    wait_for_the_job(platform, environment)
    platform.agent.kill()
    platform.agent.start()
    assert_deployed_once(platform, environment)


def test_deploy_converges_when_the_control_plane_is_killed_half_way(
    platform: Platform, environment: str, project: Path
) -> None:
    deploy(platform, environment, project, SLOW_START, "--detach")
    wait_for_the_job(platform, environment)
    platform.controlplane.kill()
    platform.controlplane.start()
    platform.wait_ready()
    assert_deployed_once(platform, environment)


def test_deploy_converges_over_a_cut_of_30_seconds(
    platform: Platform, environment: str, project: Path
) -> None:
    deploy(platform, environment, project, SLOW_START, "--detach")
    wait_for_the_job(platform, environment)
    platform.proxy.cut()
    threading.Event().wait(30)  # the length of the outage is what is tested
    platform.proxy.heal()
    assert_deployed_once(platform, environment)


def test_deploy_to_an_absent_agent_waits_and_the_state_reads_unknown(
    platform: Platform, environment: str, project: Path
) -> None:
    deploy(platform, environment, project, COUNTER, "--wait")
    platform.agent.kill()
    wait_until(
        "the cluster is not online",
        lambda: not platform.connection().endswith("ONLINE"),
        timeout=60,
    )
    assert platform.json("app", "get", "counter", "--env", environment)["state"] == "STATE_UNKNOWN"
    refused = platform.cli("logs", "--env", environment, "counter", check=False)
    assert refused.returncode == 5
    assert b"agent" in refused.stderr.lower()

    deploy(platform, environment, project, COUNTER.replace("count ", "tally "), "--detach")
    platform.agent.start()
    wait_until(
        "revision 2 serves",
        lambda: platform.json("app", "get", "counter", "--env", environment).get("servingRevision") == "2",
        timeout=120, interval=0.5,
    )  # fmt: skip


def _assert_two_pods_count_without_a_hole(lines: list[bytes]) -> None:
    """The old pod prints until it is killed, while the new one has begun: their lines may take turns."""
    numbers = [int(match[1]) for line in lines if (match := re.search(rb"count (\d+)", line))]
    old, new = numbers[0], 0
    for number in numbers[1:]:
        if number == new + 1:
            new = number
        else:
            assert number == old + 1, (
                f"{number} came behind {old} of the old pod and {new} of the new"
            )
            old = number
    assert new > 50
