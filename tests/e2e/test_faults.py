"""Crashes and cuts: everything converges, nothing is lost or done twice."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.platform import Platform
from tests.e2e.waiting import wait_until

COUNTER = """
name: counter
services:
  counter:
    image: docker.io/library/busybox:1.36
    command: ["sh", "-c", "i=0; while true; do i=$$((i+1)); echo count $$i; usleep 20000; done"]
    stop_grace_period: 1s
"""
SLOW_START = """
name: slow
services:
  migrate:
    image: docker.io/library/busybox:1.36
    command: ["sh", "-c", "echo ran >> /data/runs; sleep 3"]
    volumes: ["data:/data"]
    restart: "no"
  web:
    image: docker.io/library/busybox:1.36
    command: ["sh", "-c", "sleep 4; touch /tmp/up; sleep 1000000"]
    volumes: ["data:/data"]
    stop_grace_period: 1s
    depends_on: {migrate: {condition: service_completed_successfully}}
    healthcheck:
      test: ["CMD", "test", "-e", "/tmp/up"]
      interval: 5s
      start_period: 60s
      start_interval: 1s
volumes: {data: {}}
"""


class Follower:
    """`skerry logs -f`, read by a thread of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[bytes] = []
        self._thread = threading.Thread(target=self._read, name="log-follower")
        self._thread.start()

    def wait_for_more(self, count: int, timeout: float = 90) -> None:
        want = len(self.lines) + count
        wait_until(f"{count} more log lines", lambda: len(self.lines) >= want, timeout=timeout)

    def stop(self) -> list[bytes]:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self._thread.join(20)
        return self.lines

    def close(self) -> None:
        self._thread.join(20)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)


@contextmanager
def following(platform: Platform, *argv: str) -> Iterator[Follower]:
    follower = Follower(platform.follow("logs", "-f", *argv))
    try:
        yield follower
    finally:
        follower.process.kill()
        follower.process.wait()
        follower.close()


def _deploy(platform: Platform, environment: str, project: Path, text: str, *flags: str) -> None:
    compose = project / "docker-compose.yml"
    compose.write_text(text)
    platform.cli("deploy", "--env", environment, "-f", str(compose), *flags)


def _assert_counts_without_a_hole(lines: list[bytes]) -> None:
    numbers = [int(match[1]) for line in lines if (match := re.search(rb"count (\d+)", line))]
    assert numbers, "no lines at all"
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), _first_break(numbers)


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


def _first_break(numbers: list[int]) -> str:
    for before, after in itertools.pairwise(numbers):
        if after != before + 1:
            return f"{after} came behind {before}"
    return ""


def test_log_follow_goes_on_over_a_pod_restart(
    platform: Platform, environment: str, project: Path
) -> None:
    _deploy(platform, environment, project, COUNTER, "--wait")
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
    _deploy(platform, environment, project, COUNTER, "--wait")
    with following(platform, "--env", environment, "counter") as follower:
        follower.wait_for_more(50)
        platform.proxy.cut()
        threading.Event().wait(30)  # the length of the outage is what is tested
        platform.proxy.heal()
        follower.wait_for_more(2000)
        lines = follower.stop()
    _assert_counts_without_a_hole(lines)
    platform.wait_connection("ONLINE")


def test_log_follow_survives_a_killed_agent(
    platform: Platform, environment: str, project: Path
) -> None:
    _deploy(platform, environment, project, COUNTER, "--wait")
    with following(platform, "--env", environment, "counter") as follower:
        follower.wait_for_more(50)
        platform.agent.kill()
        platform.agent.start()
        follower.wait_for_more(300)
        lines = follower.stop()
    _assert_counts_without_a_hole(lines)


def test_log_follow_survives_a_killed_control_plane(
    platform: Platform, environment: str, project: Path
) -> None:
    _deploy(platform, environment, project, COUNTER, "--wait")
    with following(platform, "--env", environment, "counter") as follower:
        follower.wait_for_more(50)
        platform.controlplane.kill()
        platform.controlplane.start()
        follower.wait_for_more(300)
        lines = follower.stop()
    _assert_counts_without_a_hole(lines)
    platform.wait_ready()
    platform.wait_connection("ONLINE")


def test_deploy_converges_when_the_agent_is_killed_half_way(
    platform: Platform, environment: str, project: Path
) -> None:
    _deploy(platform, environment, project, SLOW_START, "--detach")
    _wait_for_the_job(platform, environment)
    platform.agent.kill()
    platform.agent.start()
    _assert_deployed_once(platform, environment)


def test_deploy_converges_when_the_control_plane_is_killed_half_way(
    platform: Platform, environment: str, project: Path
) -> None:
    _deploy(platform, environment, project, SLOW_START, "--detach")
    _wait_for_the_job(platform, environment)
    platform.controlplane.kill()
    platform.controlplane.start()
    platform.wait_ready()
    _assert_deployed_once(platform, environment)


def test_deploy_converges_over_a_cut_of_30_seconds(
    platform: Platform, environment: str, project: Path
) -> None:
    _deploy(platform, environment, project, SLOW_START, "--detach")
    _wait_for_the_job(platform, environment)
    platform.proxy.cut()
    threading.Event().wait(30)  # the length of the outage is what is tested
    platform.proxy.heal()
    _assert_deployed_once(platform, environment)


def test_deploy_to_an_absent_agent_waits_and_the_state_reads_unknown(
    platform: Platform, environment: str, project: Path
) -> None:
    _deploy(platform, environment, project, COUNTER, "--wait")
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

    _deploy(platform, environment, project, COUNTER.replace("count ", "tally "), "--detach")
    platform.agent.start()
    wait_until(
        "revision 2 serves",
        lambda: platform.json("app", "get", "counter", "--env", environment).get("servingRevision") == "2",
        timeout=120, interval=0.5,
    )  # fmt: skip


def _wait_for_the_job(platform: Platform, environment: str) -> None:
    namespace = platform.json("env", "get", environment)["namespace"]
    wait_until(
        "the job's pod runs",
        lambda: "Running" in platform.kubectl("get", "pods", "-n", namespace, "-l", "skerry.dev/service=migrate", check=False),
        timeout=60,
    )  # fmt: skip


def _assert_deployed_once(platform: Platform, environment: str) -> None:
    deployment = wait_until(
        "the deployment ended",
        lambda: next(
            (
                one
                for one in platform.json("deployments", "slow", "--env", environment)["deployments"]
                if one["phase"] in ("DEPLOYMENT_PHASE_READY", "DEPLOYMENT_PHASE_FAILED")
            ),
            None,
        ),
        timeout=180, interval=0.5,
    )  # fmt: skip
    assert deployment["phase"] == "DEPLOYMENT_PHASE_READY", deployment
    assert len(platform.json("deployments", "slow", "--env", environment)["deployments"]) == 1
    runs = platform.cli("exec", "--env", environment, "slow/web", "--", "cat", "/data/runs").stdout
    assert runs == b"ran\n", "the job ran more than once"
