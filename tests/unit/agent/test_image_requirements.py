"""The image for the dev cluster holds the locked versions."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", text, re.MULTILINE))


def test_the_images_requirements_are_the_locks():
    locked = pins((ROOT / "requirements.lock").read_text())
    wanted = pins((ROOT / "deploy/images/agent/requirements.txt").read_text())
    assert wanted
    assert {name: locked.get(name) for name in wanted} == wanted


def test_the_images_requirements_hold_the_agents_own():
    wanted = pins((ROOT / "deploy/images/agent/requirements.txt").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    extra = re.search(r"^agent = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert extra is not None
    names = re.findall(r'"([a-z0-9-]+)', extra.group(1))
    assert set(names) <= set(wanted)
