"""Log follow: lines a second from a pod to the terminal, through the whole path, beside kubectl on the same pod."""

from __future__ import annotations

from bench.results import Report, Row
from bench.running import WHERE, RunningPlatform, seconds_to_lines

LINES = 60_000
ROUNDS = 5
# All lines are there before the first read, below the size at which the kubelet rotates a log.
PRINTER = f"""
services:
  printer:
    image: docker.io/library/busybox:1.36
    command: ["sh", "-c", "yes 'a line of a log that is about as wide as the lines of a web server' | head -n {LINES + 1000}; touch /tmp/done; sleep 1000000"]
    stop_grace_period: 1s
    healthcheck: {{test: [CMD, test, -e, /tmp/done], interval: 5s, start_period: 60s, start_interval: 1s}}
"""


def run() -> Report:
    platform = RunningPlatform()
    platform.deploy("printer", PRINTER)
    pod = platform.pod("printer", "printer")
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours.append(
            LINES / seconds_to_lines([platform.skerry, "logs", *WHERE, "-f", "printer"], LINES)
        )
        theirs.append(LINES / seconds_to_lines(platform.kubectl("logs", "-f", pod), LINES))
    platform.delete("printer")
    return Report(
        "logs", "kubectl logs -f", [Row("log follow", "lines/s", tuple(ours), tuple(theirs), True)]
    )
