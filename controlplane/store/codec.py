"""Domain dataclasses to JSON values and back, by their type hints. For JSON columns and stored answers; only `store` uses it.

Covers what the domain uses: dataclasses, enums, str, int, float, bool, None, bytes (base64), aware datetimes (ISO 8601),
timedeltas (seconds), `tuple[X, ...]`, `Mapping[str, X]` and `X | None`.
"""

import base64
import dataclasses
import types
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: object) -> Any:
    """The JSON value of a domain value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: encode(getattr(value, name)) for name in _hints(type(value))}
    raise TypeError(f"cannot store a {type(value).__name__}")


def decode(wanted: Any, value: Any) -> Any:
    """The domain value of type `wanted` that `encode` made this JSON value from.

    A field that is missing takes its default, a key that is no longer a field is left out, so that old rows stay readable.
    """
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (wanted,) = (option for option in get_args(wanted) if option is not types.NoneType)
        return decode(wanted, value)
    if origin is tuple:
        return tuple(decode(get_args(wanted)[0], item) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        return {key: decode(get_args(wanted)[1], item) for key, item in value.items()}
    if wanted is bytes:
        return base64.b64decode(value)
    if wanted is datetime:
        return datetime.fromisoformat(value)
    if wanted is timedelta:
        return timedelta(seconds=value)
    if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
        hints = _hints(wanted)
        return wanted(
            **{name: decode(hints[name], item) for name, item in value.items() if name in hints}
        )
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return wanted(value)
    return value


@lru_cache(maxsize=256)
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
