"""The grammar of env files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.compose.diagnostics import Report
from agent.compose.dotenv import parse
from agent.compose.nodes import Budget
from tests.unit.compose.helpers import environment, errors, service


def read(text: str, raw: bool = False, **known: str) -> tuple[dict[str, str | None], list[str]]:
    report = Report()
    found = parse("x.env", text.encode(), known.get, report, Budget(0, 1 << 20), raw=raw)
    values = {name: entry.value for name, entry in found.items()}
    return values, [f"{d.line}:{d.column} {d.code}" for d in report.result([])]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1", {"A": "1"}),
        ("export A=1\n  B = 2 ", {"A": "1", "B": "2"}),
        ("A: yaml style", {"A": "yaml style"}),
        ("A=\nB=''\nC=\"\"", {"A": "", "B": "", "C": ""}),
        ("A=x # comment\nB=x#no comment\n# C=3", {"A": "x", "B": "x#no comment"}),
        ("A='l$it # \\n' # c", {"A": "l$it # \\n"}),
        ('A="two\\nlines\\t\\"q\\" \\\\"', {"A": 'two\nlines\t"q" \\'}),
        ('A="over\ntwo lines"\nB=1', {"A": "over\ntwo lines", "B": "1"}),
        ("BARE\nA=1", {"BARE": None, "A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\ufeffA=1", {"A": "1"}),
        ("A=x=y=z", {"A": "x=y=z"}),
        ("a.b-c[0]=1", {"a.b-c[0]": "1"}),
        ("A=1\nB=$A${A:-x}", {"A": "1", "B": "11"}),
        ("A=$KNOWN", {"A": "env"}),
        ("KNOWN=file\nA=$KNOWN", {"KNOWN": "file", "A": "env"}),
        ('A="\\$KNOWN"', {"A": "$KNOWN"}),
        ("A=it's", {"A": "it's"}),
    ],
)
def test_values(text: str, values: dict[str, str | None]) -> None:
    assert read(text, KNOWN="env") == (values, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=1\n1 B=2", "2:1 CMP211"),
        ("A='open", "1:1 CMP211"),
        ("A='x' y", "1:1 CMP211"),
        ("\n  =x", "2:3 CMP211"),
        ("A=${", "1:1 CMP211"),
        ("A=${B:?no}", "1:1 CMP120"),
        ("A=$B", "1:1 CMP121"),
    ],
)
def test_problems_have_a_line(text: str, problem: str) -> None:
    assert read(text)[1] == [problem]


def test_the_rest_of_a_file_is_read_after_a_problem() -> None:
    assert read("1 A=\nB=2")[0] == {"B": "2"}


def test_raw_values_are_the_rest_of_the_line() -> None:
    assert read("A='q' # $X", raw=True)[0] == {"A": "'q' # $X"}


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,9}", fullmatch=True), st.text()))
def test_double_quoted_values_come_back(values: dict[str, str]) -> None:
    values = {k: v.replace("\r", "").replace("\x00", "") for k, v in values.items()}
    text = "".join(
        '{}="{}"\n'.format(k, v.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$"))
        for k, v in values.items()
    )
    assert read(text) == (values, [])


@given(st.text(max_size=200))
def test_any_text_is_read_to_its_end(text: str) -> None:
    read(text)


def test_environment_wins_over_env_files_and_later_files_win() -> None:
    result = service(
        "env_file: [a.env, {path: b.env}, {path: none.env, required: false}]\nenvironment: {C: own}",
        files={"a.env": b"A=a\nB=a\nC=a", "b.env": b"B=b"},
    )
    assert environment(result) == {"A": "a", "B": "b", "C": "own"}


def test_a_missing_env_file_is_an_error() -> None:
    assert errors(service("env_file: none.env")) == ["CMP210"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.env", "~/x.env"])
def test_an_env_file_outside_the_bundle_is_an_error(path: str) -> None:
    assert errors(service(f"env_file: {path}")) == ["CMP210"]


def test_raw_format() -> None:
    result = service("env_file: [{path: a.env, format: raw}]", files={"a.env": b"A='$X' # y"})
    assert environment(result) == {"A": "'$X' # y"}


def test_an_env_file_may_refer_to_the_services_own_variables() -> None:
    result = service(
        "env_file: a.env\nenvironment: {OWN: x, BOTH: own}",
        files={"a.env": b"A=$OWN\nB=$BOTH"},
        variables={"BOTH": "project"},
    )
    assert environment(result) == {"A": "x", "B": "project", "OWN": "x", "BOTH": "own"}
