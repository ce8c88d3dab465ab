"""What a plain YAML scalar means, by the rules of go-yaml v3, which is what compose reads with.

They differ from YAML 1.1 (PyYAML): `22222:22` and `no` are strings, and from YAML 1.2: `0440` is
octal. Source: gopkg.in/yaml.v3 resolve.go.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from enum import StrEnum

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TRUE = frozenset({"true", "True", "TRUE"})
FALSE = frozenset({"false", "False", "FALSE"})
_INFINITE = {
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_NUMERIC_START = frozenset("+-.0123456789")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_UINT64 = 1 << 64
_EXPONENT_FROM = 21
"""fmt's %v writes an exponent from 1e21 on; Python from 1e16."""


class Kind(StrEnum):
    NULL = "null"
    BOOL = "boolean"
    INT = "integer"
    FLOAT = "number"
    STRING = "string"


def kind(text: str) -> Kind:
    """The type go-yaml gives a plain scalar."""
    if text in NULLS:
        return Kind.NULL
    if text in TRUE or text in FALSE:
        return Kind.BOOL
    value = number(text)
    if value is None:
        return Kind.STRING
    return Kind.INT if isinstance(value, int) else Kind.FLOAT


def number(text: str) -> int | float | None:
    """The number a plain scalar is, None if it is none."""
    if not text or text[0] not in _NUMERIC_START or len(text) > 400:
        return None
    if text in _INFINITE:
        return _INFINITE[text]
    digits = text.replace("_", "")
    if _INT.fullmatch(digits):
        value = _integer(digits)
        if -(_UINT64 >> 1) <= value < _UINT64:
            return value
    if _FLOAT.fullmatch(digits):
        return float(digits)
    return None


def go_text(text: str) -> str:
    """How Go prints the value of a plain scalar with %v; strings stay as they are."""
    if text in TRUE:
        return "true"
    if text in FALSE:
        return "false"
    value = number(text)
    if value is None:
        return text
    return str(value) if isinstance(value, int) else _float_text(value)


def _integer(digits: str) -> int:
    sign = -1 if digits.startswith("-") else 1
    body = digits.lstrip("+-").lower()
    if body.startswith("0x"):
        return sign * int(body, 16)
    if body.startswith("0b"):
        return sign * int(body, 2)
    if body.startswith("0") and body != "0":
        return sign * int(body.removeprefix("0o"), 8)
    return sign * int(body)


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    shortest = repr(value)
    exponent = Decimal(shortest).adjusted()
    if "e" in shortest and -5 < exponent < _EXPONENT_FROM:
        shortest = format(Decimal(shortest), "f")
    return shortest.removesuffix(".0")
