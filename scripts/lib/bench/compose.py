"""Convert real compose files: what becomes of them, and how many a second, beside PyYAML reading them.

The files are those of the corpus beside the checkout, or the project's own examples and golden files
where it is absent. One process on one core, timed by its CPU time, so that other work on the machine
counts less; each run converts every file.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from agent.bundle import FolderBundle
from agent.compose import Context, Plan, Severity, SourceFile, plan
from bench.results import Report, Row
from bench.running import NotRunning

RUNS = 3
ROOT = Path(__file__).parents[3]
CORPUS = ROOT.parent / "shared/corpus"
FOLDERS = ("awesome", "dokploy", "kompose")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the files of one folder. The counts by code are of files that have the code."""

    folder: str
    files: int
    converted: int
    without_a_word: int
    """Converted with no warning."""
    refused_by_code: dict[str, int]
    warnings_by_code: dict[str, int]
    """Of converted files."""
    infos: int
    """Findings, of converted files."""
    files_per_second: tuple[float, ...]
    yaml_per_second: tuple[float, ...]

    @property
    def row(self) -> tuple[str, ...]:
        return (
            self.folder,
            f"{self.files}",
            f"{self.converted}",
            f"{self.without_a_word}",
            f"{self.files - self.converted}",
            f"{self.infos}",
            f"{statistics.median(self.files_per_second):,.0f}",
            f"{statistics.median(self.yaml_per_second):,.0f}",
        )


@dataclass(frozen=True, slots=True)
class CompositionReport(Report):
    """The rows, and what became of the files, by folder and in all."""

    outcomes: Sequence[Outcome] = ()
    """The last one is of all folders together."""

    def as_json(self) -> str:
        outcomes = [dataclasses.asdict(outcome) for outcome in self.outcomes]
        return json.dumps({**json.loads(Report.as_json(self)), "outcomes": outcomes})

    def as_table(self) -> str:
        head = ("", "files", "converted", "no warning", "refused", "infos", "files/s", "PyYAML")
        rows = [head, *(outcome.row for outcome in self.outcomes)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if index else cell.ljust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        everything = self.outcomes[-1]
        return "\n".join(
            [
                Report.as_table(self),
                "",
                *lines,
                "",
                f"files refused, by code: {_counts(everything.refused_by_code)}",
                f"converted files with a warning, by code: {_counts(everything.warnings_by_code)}",
            ]
        )


@dataclass(frozen=True, slots=True)
class _Input:
    folder: str
    path: Path
    content: bytes
    files: dict[str, bytes]


def run() -> CompositionReport:
    """Convert and read the files of each folder in turns."""
    inputs = [
        _Input(_folder(path), path, path.read_bytes(), bundle_files(path))
        for path in paths(FOLDERS)
    ]
    names = list(dict.fromkeys(one.folder for one in inputs))
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    plans: dict[str, list[Plan]] = {}
    for _ in range(RUNS):
        for name in names:
            of_folder = [one for one in inputs if one.folder == name]
            started = time.process_time()
            plans[name] = [_convert(one) for one in of_folder]
            converted = time.process_time()
            for one in of_folder:
                _read(one.content)
            seconds[name].append((converted - started, time.process_time() - converted))
    together = [
        (sum(ours for ours, _ in times), sum(theirs for _, theirs in times))
        for times in zip(*seconds.values(), strict=True)
    ]
    outcomes = [_outcome(name, plans[name], seconds[name]) for name in names]
    everything = _outcome("all", [one for name in names for one in plans[name]], together)
    return CompositionReport(
        name="compose",
        beside=f"PyYAML {yaml.__version__} safe_load with libyaml, which only reads",
        rows=[
            Row(
                *("files", "files/s of CPU"),
                everything.files_per_second,
                everything.yaml_per_second,
                higher_is_better=True,
            )
        ],
        outcomes=[*outcomes, everything],
    )


def paths(folders: Iterable[str]) -> list[Path]:
    """The compose files to measure with. Raises NotRunning when there are none."""
    found = [path for folder in folders for path in sorted((CORPUS / folder).glob("**/*.y*ml"))]
    if not found:
        found = sorted((ROOT / "tests/golden/compose").glob("*/compose.yml"))
        found += sorted((ROOT / "examples").glob("*/docker-compose.yml"))
    if not found:
        raise NotRunning("there are no compose files to convert")
    return found


def bundle_files(path: Path) -> dict[str, bytes]:
    """The files beside a compose file, read before the clock starts."""
    bundle = FolderBundle(path.parent)
    return {name: bundle[name] for name in bundle}


def _folder(path: Path) -> str:
    return path.relative_to(CORPUS).parts[0] if path.is_relative_to(CORPUS) else "own"


def _outcome(name: str, plans: Sequence[Plan], seconds: Sequence[tuple[float, float]]) -> Outcome:
    converted = [one for one in plans if not one.rejected]
    return Outcome(
        folder=name,
        files=len(plans),
        converted=len(converted),
        without_a_word=sum(not _codes(one, Severity.WARNING) for one in converted),
        refused_by_code=_files_by_code(plans, Severity.ERROR),
        warnings_by_code=_files_by_code(converted, Severity.WARNING),
        infos=sum(d.severity is Severity.INFO for one in converted for d in one.diagnostics),
        files_per_second=tuple(len(plans) / ours for ours, _ in seconds),
        yaml_per_second=tuple(len(plans) / theirs for _, theirs in seconds),
    )


def _files_by_code(plans: Iterable[Plan], severity: Severity) -> dict[str, int]:
    counted = collections.Counter(code for one in plans for code in _codes(one, severity))
    return dict(counted.most_common())


def _codes(converted: Plan, severity: Severity) -> set[str]:
    return {found.code for found in converted.diagnostics if found.severity is severity}


def _counts(by_code: dict[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in by_code.items()) or "none"


def _convert(one: _Input) -> Plan:
    context = Context(app="app", namespace="ns", files=one.files)
    return plan([SourceFile(one.path.name, one.content)], context)


def _read(content: bytes) -> None:
    with contextlib.suppress(yaml.YAMLError):
        list(yaml.load_all(content, Loader=yaml.CSafeLoader))
