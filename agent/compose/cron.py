"""Schedules as CronJobs take them: five fields, or one of cron's words."""

from __future__ import annotations

import re

_WORDS = frozenset(
    {"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_ITEM = re.compile(r"(\*|\w{1,3})(?:-(\w{1,3}))?(?:/(\d{1,2}))?", re.ASCII)


def parse_schedule(text: str) -> str:
    """The schedule with single spaces. Raises ValueError with what is wrong."""
    schedule = " ".join(text.split())
    if schedule in _WORDS:
        return schedule
    parts = schedule.split(" ")
    if len(parts) != len(_FIELDS):
        raise ValueError(f'"{schedule[:40]}" does not have five fields as 0 3 * * *')
    for part, (name, lowest, highest, words) in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            if not _is_item(item, lowest, highest, words):
                raise ValueError(f'"{item[:20]}" is not a {name} ({lowest} to {highest})')
    return schedule


def _is_item(item: str, lowest: int, highest: int, words: tuple[str, ...]) -> bool:
    match = _ITEM.fullmatch(item)
    if match is None:
        return False
    start, end, step = match.groups()
    if step is not None and int(step) == 0:
        return False
    if start == "*":
        return end is None
    first = _number(start, lowest, words)
    last = first if end is None else _number(end, lowest, words)
    return lowest <= first <= last <= highest


def _number(text: str, lowest: int, words: tuple[str, ...]) -> int:
    """The number or named value; -1 for neither."""
    if text.lower() in words:
        return words.index(text.lower()) + lowest
    return int(text) if text.isdecimal() else -1
