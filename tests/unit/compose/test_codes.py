"""Every code that is used is listed, and every listed code is used."""

from __future__ import annotations

import re
from pathlib import Path

import agent.compose
from agent.compose.codes import CODES

PACKAGE = Path(agent.compose.__file__).parent


def test_codes_are_those_in_the_source() -> None:
    used = set()
    for path in PACKAGE.glob("*.py"):
        if path.name != "codes.py":
            used |= set(re.findall(r'"(CMP\d{3})"', path.read_text()))
    assert used == set(CODES)
