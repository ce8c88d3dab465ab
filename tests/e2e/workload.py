"""What runs while something is broken: an app that counts, a log follow that must miss nothing, a deploy that must happen once.

Used by `test_faults`, `chaos` and through it by `scripts/bench chaos`.
"""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import threading
import time
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
        self.last_line = 0.0
        """When the last line came, by the monotonic clock."""
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
            self.last_line = time.monotonic()
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


def deploy(platform: Platform, environment: str, project: Path, text: str, *flags: str) -> None:
    compose = project / "docker-compose.yml"
    compose.write_text(text)
    platform.cli("deploy", "--env", environment, "-f", str(compose), *flags)


def assert_counts_without_a_hole(lines: list[bytes]) -> None:
    numbers = [int(match[1]) for line in lines if (match := re.search(rb"count (\d+)", line))]
    assert numbers, "no lines at all"
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), _first_break(numbers)


def _first_break(numbers: list[int]) -> str:
    for before, after in itertools.pairwise(numbers):
        if after != before + 1:
            return f"{after} came behind {before}"
    return ""


def wait_for_the_job(platform: Platform, environment: str) -> None:
    namespace = platform.json("env", "get", environment)["namespace"]
    wait_until(
        "the job's pod runs or has run",
        lambda: re.search(
            "Running|Completed",  # it takes three seconds, which a look on a busy machine may miss
            platform.kubectl("get", "pods", "-n", namespace, "-l", "skerry.dev/service=migrate", check=False),
        ),
        timeout=180,
    )  # fmt: skip


def assert_deployed_once(platform: Platform, environment: str) -> None:
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
