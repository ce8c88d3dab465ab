"""Exec: from the start of the command to its first byte of output, beside kubectl on the same pod."""

from __future__ import annotations

from bench.results import Report, Row
from bench.running import WHERE, RunningPlatform, seconds_to_first_byte

ROUNDS = 15
IDLE = """
services:
  idle:
    image: docker.io/library/busybox:1.36
    command: ["sleep", "1000000"]
    stop_grace_period: 1s
"""


def run() -> Report:
    platform = RunningPlatform()
    platform.deploy("idle", IDLE)
    pod = platform.pod("idle", "idle")
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours.append(
            1000
            * seconds_to_first_byte([platform.skerry, "exec", *WHERE, "idle", "--", "echo", "x"])
        )
        theirs.append(
            1000 * seconds_to_first_byte(platform.kubectl("exec", pod, "--", "echo", "x"))
        )
    platform.delete("idle")
    return Report(
        "exec", "kubectl exec", [Row("open to first byte", "ms", tuple(ours), tuple(theirs), False)]
    )
