"""Kubernetes quantities (`500m`, `1Gi`) as numbers, to compare them. Used on quota messages."""

from __future__ import annotations

import re

_SCALES = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    **{f"{unit}i": 1024.0 ** (power + 1) for power, unit in enumerate("KMGTPE")},
    "E": 1e18,
}


def parse_quantity(text: str) -> float:
    """The amount in base units. Raises ValueError."""
    found = re.fullmatch(r"([+-]?[0-9.]+)(?:e([+-]?[0-9]+))?([A-Za-z]{0,2})", text.strip())
    if not found or found.group(3) not in _SCALES:
        raise ValueError(f"{text!r} is not a Kubernetes quantity")
    exponent = float(f"1e{found.group(2) or 0}")
    return float(found.group(1)) * exponent * _SCALES[found.group(3)]
