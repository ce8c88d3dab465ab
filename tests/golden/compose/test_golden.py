"""Whole plans compared with files that a person has read.

After a wanted change: `SKERRY_UPDATE_GOLDEN=1 pytest tests/golden/compose`, then read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.bundle import FolderBundle
from agent.compose import Context, Plan, SourceFile, plan
from agent.convert.manifests import OutputFormat, render_manifests

FOLDER = Path(__file__).parent
CASES = sorted(path.parent for path in FOLDER.glob("*/compose.yml"))


def convert(folder: Path) -> Plan:
    context = Context(
        app="shop",
        namespace="shop-prod",
        project="shop",
        environment="prod",
        revision="1",
        files=FolderBundle(folder),
        default_storage_class="local-path",
    )
    return plan([SourceFile("compose.yml", (folder / "compose.yml").read_bytes())], context)


def rendered(result: Plan) -> str:
    """Findings, facts and waves as comments above the manifests."""
    lines = [str(d) for d in result.diagnostics]
    if result.public is not None:
        guess = result.public
        lines.append(f"public: {guess.service}:{guess.port}, {guess.reason}")
    for wave in result.waves:
        names = ", ".join(f"{m['kind']}/{m['metadata']['name']}" for m in wave.manifests)
        lines.append(f"wave {wave.name} (wait: {wave.wait}): {names}")
    comments = "".join(f"# {line}\n" for line in lines)
    return comments + render_manifests(result, OutputFormat.YAML)


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_golden(folder: Path) -> None:
    expected = folder / "expected.yaml"
    actual = rendered(convert(folder))
    if os.environ.get("SKERRY_UPDATE_GOLDEN"):
        expected.write_text(actual)
    assert actual == expected.read_text()


def test_there_are_cases() -> None:
    assert len(CASES) >= 5
