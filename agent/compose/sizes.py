"""Sizes and CPU counts: docker/go-units' RAMInBytes in, Kubernetes quantities out."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?) ?([kmgtp])?i?b?", re.ASCII | re.IGNORECASE)
_QUANTITY = re.compile(r"\d{1,15}(\.\d{1,9})?([KMGTPE]i|[kMGTPE])?", re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi")
_LARGEST = 1 << 60


def parse_size(text: str) -> int:
    """Bytes of `512m`, `1.5gb`, `10kib` or a plain number; every unit counts by 1024.

    Raises ValueError with what is wrong.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text[:40]}" is not a size as 512m')
    number = Decimal(match.group(1))
    size = int(number * 1024 ** _POWERS[(match.group(2) or "").lower()])
    if size > _LARGEST:
        raise ValueError(f'"{text[:40]}" is too large')
    return size


def quantity(size: int) -> str:
    """Bytes as a Kubernetes quantity, exact: 536870912 → 512Mi."""
    power = 0
    while size and size % 1024 == 0 and power < len(_SUFFIXES) - 1:
        size //= 1024
        power += 1
    return f"{size}{_SUFFIXES[power]}"


def is_quantity(text: str) -> bool:
    """Whether the text is a Kubernetes quantity already, as 10Gi."""
    return _QUANTITY.fullmatch(text) is not None


def volume_size(text: str) -> str:
    """A size of compose or Kubernetes as a quantity; empty if it is neither, or nothing."""
    found = text.strip()
    if not is_quantity(found):
        try:
            found = quantity(parse_size(found))
        except ValueError:
            return ""
    return found if float(found.rstrip("KMGTPEkmi")) > 0 else ""


def parse_cpus(text: str) -> int:
    """Millicores of a CPU count, rounded up. Raises ValueError with what is wrong."""
    try:
        cpus = Decimal(text.strip())
    except InvalidOperation:
        cpus = Decimal("NaN")
    if not cpus.is_finite() or cpus < 0 or cpus > 100_000:
        raise ValueError(f'"{text[:40]}" is not a number of CPUs as 0.5')
    millis = cpus * 1000
    return int(millis) + (1 if millis % 1 else 0)


def cpu_quantity(millis: int) -> str:
    """Millicores as a Kubernetes quantity: 500m, 2."""
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"
