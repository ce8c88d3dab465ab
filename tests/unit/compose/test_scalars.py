"""go-yaml's reading of plain scalars, which differs from both YAML 1.1 and 1.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.compose.scalars import Kind, go_text, kind, number
from tests.unit.compose.helpers import environment, service


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("22222:22", Kind.STRING),
        ("no", Kind.STRING),
        ("yes", Kind.STRING),
        ("on", Kind.STRING),
        ("true", Kind.BOOL),
        ("TRUE", Kind.BOOL),
        ("tRUE", Kind.STRING),
        ("~", Kind.NULL),
        ("Null", Kind.NULL),
        ("nULL", Kind.STRING),
        ("0440", Kind.INT),
        ("08", Kind.FLOAT),
        ("1_000", Kind.INT),
        ("0x1F", Kind.INT),
        ("0b11", Kind.INT),
        ("+12", Kind.INT),
        ("1e3", Kind.FLOAT),
        (".5", Kind.FLOAT),
        ("1.2.3", Kind.STRING),
        (".inf", Kind.FLOAT),
        ("-", Kind.STRING),
        ("2024-01-01", Kind.STRING),
    ],
)
def test_kind(text: str, wanted: Kind) -> None:
    assert kind(text) is wanted


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("0440", "288"),
        ("0o17", "15"),
        ("0x10", "16"),
        ("1_000", "1000"),
        ("1.50", "1.5"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("0.00001", "1e-05"),
        ("TRUE", "true"),
        ("-.inf", "-Inf"),
        (".nan", "NaN"),
        ("22222:22", "22222:22"),
        ("18446744073709551615", "18446744073709551615"),
    ],
)
def test_text_as_go_prints_it(text: str, printed: str) -> None:
    assert go_text(text) == printed


@given(st.integers(min_value=-(2**63), max_value=2**64 - 1))
def test_integers_stay_what_they_are(value: int) -> None:
    assert number(str(value)) == value
    assert go_text(str(value)) == str(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_value(value: float) -> None:
    assert float(go_text(repr(value))) == value


def test_quoted_text_is_never_a_number() -> None:
    result = service("environment: {A: 0440, B: '0440', C: yes, D: 1.10, E: '~', F: TRUE}")
    assert environment(result) == {
        "A": "288", "B": "0440", "C": "yes", "D": "1.1", "E": "~", "F": "true",
    }  # fmt: skip
