"""Spans and moments as people write them: `90s`, `10m`, `1h30m`, `2026-11-23T10:00:00Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from skerry.cli.exit_codes import UsageError

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """`90s`, `10m`, `1h30m`, `2d`, or plain seconds. Raises UsageError."""
    parts = _PART.findall(text)
    if text and "".join(number + unit for number, unit in parts) == text:
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    elif re.fullmatch(r"\d{1,12}", text):
        seconds = float(text)
    else:
        raise UsageError(f"{text!r} is no duration: write for instance 90s, 10m or 1h30m")
    if seconds > LONGEST.total_seconds():
        raise UsageError(f"{text!r} is too long")
    return timedelta(seconds=seconds)


def parse_since(text: str, now: datetime) -> datetime:
    """A span before now, or an RFC 3339 time. Raises UsageError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or re.fullmatch(r"\d{1,12}", text):
        return now - parse_duration(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
