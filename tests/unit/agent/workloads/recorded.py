"""Objects as a real API server (1.35) returned them, one file for each way a workload can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.workloads.status import Objects

FOLDER = Path(__file__).parent / "recorded"


def recorded(name: str) -> dict[str, Any]:
    """`workload`, `replica_sets`, `pods` and `events` of one recording."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return content


def objects_of(content: dict[str, Any]) -> Objects:
    workload = content["workload"]
    return Objects(
        deployments=[workload] if workload["kind"] == "Deployment" else [],
        jobs=[workload] if workload["kind"] == "Job" else [],
        replica_sets=content["replica_sets"],
        pods=content["pods"],
        events=content["events"],
    )
