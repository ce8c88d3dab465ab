"""Convert real compose files: what becomes of them, and how many a second, beside PyYAML reading them.

The files are those of the corpus beside the checkout, or the project's own examples and golden files
where it is absent. One process, one core; each run converts every file.
"""

from __future__ import annotations

import collections
import contextlib
import json
import time
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositionReport(Report):
    """The rows, and what became of the files."""

    files: int
    accepted: int
    without_a_word: int
    """Accepted without any warning."""
    refusals: dict[str, int]
    """Error code → files that have it."""

    def as_json(self) -> str:
        more = {
            "files": self.files,
            "accepted": self.accepted,
            "accepted_without_warning": self.without_a_word,
            "refusals": self.refusals,
        }
        return json.dumps({**json.loads(Report.as_json(self)), **more})

    def as_table(self) -> str:
        refused = ", ".join(f"{code} {count}" for code, count in self.refusals.items())
        return (
            f"{Report.as_table(self)}\n{self.files} files: {self.accepted} accepted "
            f"({self.without_a_word} without a warning), {self.files - self.accepted} refused\n"
            f"files by error: {refused or 'none'}"
        )


def run() -> CompositionReport:
    """Convert and read the files in turns."""
    paths = _paths()
    inputs = [(path, path.read_bytes(), _bundle(path)) for path in paths]
    plans: list[Plan] = []
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(RUNS):
        started = time.perf_counter()
        plans = [_convert(path, content, files) for path, content, files in inputs]
        ours.append(len(inputs) / (time.perf_counter() - started))
        started = time.perf_counter()
        for _path, content, _files in inputs:
            _read(content)
        theirs.append(len(inputs) / (time.perf_counter() - started))
    accepted = [one for one in plans if not one.rejected]
    loud = sum(any(d.severity is Severity.WARNING for d in one.diagnostics) for one in accepted)
    refusals = collections.Counter(
        code
        for one in plans
        for code in {d.code for d in one.diagnostics if d.severity is Severity.ERROR}
    )
    return CompositionReport(
        name="compose",
        beside=f"PyYAML {yaml.__version__} safe_load with libyaml, which only reads",
        rows=[Row("files", "files/s", tuple(ours), tuple(theirs), higher_is_better=True)],
        files=len(plans),
        accepted=len(accepted),
        without_a_word=len(accepted) - loud,
        refusals=dict(refusals.most_common()),
    )


def _paths() -> list[Path]:
    found = [path for folder in FOLDERS for path in sorted((CORPUS / folder).glob("**/*.y*ml"))]
    if not found:
        found = sorted((ROOT / "tests/golden/compose").glob("*/compose.yml"))
        found += sorted((ROOT / "examples").glob("*/docker-compose.yml"))
    if not found:
        raise NotRunning("there are no compose files to convert")
    return found


def _bundle(path: Path) -> dict[str, bytes]:
    """The files beside a compose file, read before the clock starts."""
    bundle = FolderBundle(path.parent)
    return {name: bundle[name] for name in bundle}


def _convert(path: Path, content: bytes, files: dict[str, bytes]) -> Plan:
    return plan([SourceFile(path.name, content)], Context(app="app", namespace="ns", files=files))


def _read(content: bytes) -> None:
    with contextlib.suppress(yaml.YAMLError):
        list(yaml.load_all(content, Loader=yaml.CSafeLoader))
