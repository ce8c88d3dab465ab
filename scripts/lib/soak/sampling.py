"""Asks the kernel and /metrics about a process now and then: resident memory, descriptors, threads, tasks."""

from __future__ import annotations

import csv
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from soak.verdict import Series

_MEASURES = {
    "memory": ("MiB", 6.0),  # a Python program's arenas come and go by some megabytes
    "descriptors": ("", 4.0),
    "threads": ("", 3.0),
    "tasks": ("", 6.0),
}


class Sampler:
    """`programs` maps a name to a process id, the address of its metrics, and the gauge that counts its tasks."""

    def __init__(self, programs: Mapping[str, tuple[int, str, str]]) -> None:
        self._programs = programs
        self._begun = time.monotonic()
        self._points: dict[tuple[str, str], list[tuple[float, float]]] = {
            (program, measure): [] for program in programs for measure in _MEASURES
        }

    def sample(self) -> None:
        """Take one of everything. A program that has died is an error."""
        for program, (pid, address, gauge) in self._programs.items():
            at = time.monotonic() - self._begun
            status = _status(pid)
            found = {
                "memory": int(status["VmRSS"].split()[0]) / 1024,
                "descriptors": float(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())),
                "threads": float(status["Threads"]),
                "tasks": _gauge(address, gauge),
            }
            for measure, value in found.items():
                if value is not None:
                    self._points[program, measure].append((at, value))

    @property
    def series(self) -> list[Series]:
        """All of them."""
        return [
            Series(f"{program} {measure}", _MEASURES[measure][0], points, _MEASURES[measure][1])
            for (program, measure), points in self._points.items()
        ]

    def write_csv(self, file: Path) -> None:
        """A line for each point."""
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(("seconds", "series", "value"))
            for series in self.series:
                writer.writerows(
                    (f"{at:.1f}", series.name, f"{value:g}") for at, value in series.points
                )


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _gauge(address: str, name: str) -> float | None:
    """None when the program did not answer in time: a busy machine is no growth."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return None
    raise ValueError(f"{address} has no {name}")
