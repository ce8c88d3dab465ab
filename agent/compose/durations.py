"""Durations as Go and compose write them: `1m30s`, `1.5h`, `300ms`; also days and weeks."""

from __future__ import annotations

import re

NANOSECOND = 1
SECOND = 1_000_000_000
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3_600 * SECOND,
    "d": 86_400 * SECOND,
    "w": 604_800 * SECOND,
}
_PART = re.compile(r"(\d{1,18})(?:\.(\d{0,18}))?(ns|us|µs|ms|s|m|h|d|w)", re.ASCII)
_LONGEST = 10 * 365 * 86_400 * SECOND


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration. Raises ValueError with what is wrong."""
    body = text.strip()
    if body == "0":
        return 0
    position, total = 0, 0
    while position < len(body):
        match = _PART.match(body, position)
        if match is None:
            break
        whole, fraction, unit = match.group(1), match.group(2) or "", _UNITS[match.group(3)]
        total += int(whole) * unit + int(fraction or "0") * unit // 10 ** len(fraction)
        position = match.end()
    if position == 0 or position != len(body):
        hint = f"; write {body}s" if body.isdecimal() else ""
        raise ValueError(f'"{text[:40]}" is not a duration as 1m30s{hint}')
    if total > _LONGEST:
        raise ValueError(f'"{text[:40]}" is longer than ten years')
    return total


def ceil_seconds(nanoseconds: int) -> int:
    """Whole seconds, rounded up."""
    return -(-nanoseconds // SECOND)


def format_duration(nanoseconds: int) -> str:
    """The shortest usual text for a duration, as `1m30s`."""
    if nanoseconds == 0:
        return "0s"
    parts = []
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, nanoseconds = divmod(nanoseconds, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
