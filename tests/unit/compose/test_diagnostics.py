"""How findings read, and where they point."""

from __future__ import annotations

import pytest

from agent.compose import Diagnostic, Severity
from agent.compose.diagnostics import Report
from agent.compose.origin import Origin
from tests.unit.compose.helpers import convert


def test_the_text_form() -> None:
    result = convert("services:\n  web:\n    image: a\n    network_mode: host\n")
    assert [str(d) for d in result.diagnostics] == [
        'compose.yml:4:19: error CMP301 services.web.network_mode: "host" gives access to the '
        "node's network. Use ports."
    ]


def test_the_machine_form_has_the_same_fields() -> None:
    (found,) = convert("services: {web: {image: a, pid: host}}").diagnostics
    assert found.as_dict() == {
        "file": "compose.yml",
        "line": 1,
        "column": 33,
        "end_line": 1,
        "end_column": 37,
        "severity": "error",
        "code": "CMP313",
        "path": "services.web.pid",
        "message": '"host" gives access to the node\'s processes',
        "hint": "Remove the line.",
        "via": "",
    }


def test_a_value_from_an_anchor_is_shown_where_it_is_written() -> None:
    result = convert(
        """
        x-base: &base
          pid: host
        services:
          a: {<<: *base, image: a}
          b: {<<: *base, image: b}
        """
    )
    assert [(d.line, d.path) for d in result.diagnostics] == [
        (3, "services.a.pid"),
        (3, "services.b.pid"),
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("services:\n  web:\n    image: a\n    ports:\n      - '80'\n      - x", (6, 9)),
        ("services:\n  web:\n    image: a\n    ulimits:\n      nofile: 5", (4, 5)),
        ("services:\n  web:\n    image: a\n    volumes:\n      - type: bind\n        source: /x\n        target: /y", (6, 17)),
        ("services:\n  web:\n    image: a\n    environment:\n      - 'A B=1'", (5, 9)),
    ],
)  # fmt: skip
def test_places(text: str, place: tuple[int, int]) -> None:
    (found,) = convert(text).diagnostics
    assert (found.line, found.column) == place


def test_findings_are_sorted_by_place_and_kept_once() -> None:
    report = Report()
    for line in (3, 1, 3):
        report.warning("CMP121", Origin("a", line, 1), "p", "m")
    report.error("CMP005", Origin("b"), "", "no place")
    assert [(d.file, d.line) for d in report.result(["a"])] == [("a", 1), ("a", 3), ("b", 0)]


def test_what_is_left_out_is_counted_with_its_severity() -> None:
    report = Report(limit=2)
    for line in range(5):
        report.warning("CMP121", Origin("a", line + 1, 1), "p", "m")
    last = report.result(["a"])[-1]
    assert (last.code, last.severity) == ("CMP099", Severity.WARNING)
    assert "3 more" in last.message
    for line in range(5):
        report.error("CMP005", Origin("a", line + 1, 1), "p", "m")
    last = report.result(["a"])[-1]
    assert (last.code, last.severity) == ("CMP099", Severity.ERROR)
    assert "6 more" in last.message


def test_warnings_do_not_crowd_out_errors() -> None:
    report = Report(limit=2)
    for line in range(5):
        report.warning("CMP121", Origin("a", line + 1, 1), "p", "m")
    report.error("CMP005", Origin("a", 9, 1), "p", "m")
    assert "CMP005" in [d.code for d in report.result(["a"])]


def test_sentences_end_once() -> None:
    found = Diagnostic("f", 1, 2, 1, 3, Severity.INFO, "CMP001", "", "Really?", "")
    assert str(found) == "f:1:2: info CMP001: Really?"
