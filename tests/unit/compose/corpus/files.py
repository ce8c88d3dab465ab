"""Where the real compose files are, and how the tests convert one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from agent.bundle import FolderBundle
from agent.compose import Context, Plan, SourceFile, plan
from tests.unit.compose import oracle

ROOT = Path(__file__).parents[5] / "shared/corpus"
FOLDERS = ("kompose", "awesome", "dokploy")
FILES = {
    path.relative_to(ROOT).as_posix(): path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).glob("**/*.y*ml"))
}
needs_corpus = pytest.mark.skipif(not FILES, reason=f"no corpus of compose files at {ROOT}")


@cache
def convert(name: str) -> Plan:
    """The plan of one file of the corpus, its folder being the bundle."""
    path = FILES[name]
    context = Context(app="app", namespace="ns", files=FolderBundle(path.parent))
    return plan([SourceFile(path.name, path.read_bytes())], context)


def variables(name: str) -> dict[str, str]:
    """What fills `${…}` in one file: the .env file beside it."""
    path = FILES[name].parent / ".env"
    return oracle.env_file(path.read_bytes(), {}) if path.exists() else {}
