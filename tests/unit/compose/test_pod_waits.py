"""What a pod waits for: a started dependency brings what it waits for itself along."""

from __future__ import annotations

import pytest

from agent.compose import Plan
from tests.unit.compose.helpers import codes, convert, errors, pod

HEALTHY = "condition: service_healthy"
CHECK = "healthcheck: {test: x}"


def waits(result: Plan, name: str = "a") -> list[str]:
    init = pod(result, name).get("initContainers", [])
    return [word for c in init if c["name"] == "skerry-wait" for word in c["command"][4:]]


def test_what_a_started_dependency_waits_for_comes_first() -> None:
    result = convert(
        f"""
        services:
          a: {{image: a, depends_on: [b]}}
          b: {{image: b, depends_on: {{c: {{{HEALTHY}}}}}}}
          c: {{image: redis, {CHECK}}}
        """
    )
    assert waits(result) == ["healthy c 6379", "started b"]
    assert waits(result, "b") == ["healthy c 6379"]


def test_a_healthy_dependency_is_waited_for_alone() -> None:
    result = convert(
        f"""
        services:
          a: {{image: a, depends_on: {{b: {{{HEALTHY}}}}}}}
          b: {{image: redis, depends_on: {{c: {{{HEALTHY}}}}}, {CHECK}}}
          c: {{image: redis, {CHECK}}}
        """
    )
    assert waits(result) == ["healthy b 6379"]


def test_the_order_is_that_of_starting_however_deep() -> None:
    result = convert(
        f"""
        services:
          a: {{image: a, depends_on: [b, z]}}
          b: {{image: b, depends_on: [c]}}
          c: {{image: c, depends_on: [z, d]}}
          d: {{image: d, depends_on: {{e: {{{HEALTHY}}}}}}}
          e: {{image: redis, {CHECK}}}
          z: {{image: z}}
        """
    )
    assert waits(result) == [
        *("healthy e 6379", "started d", "started z", "started c", "started b"),
    ]


def test_of_healthy_and_started_healthy_counts_where_it_comes_first() -> None:
    result = convert(
        f"""
        services:
          a: {{image: a, depends_on: {{b: {{condition: service_started}}, z: {{{HEALTHY}}}}}}}
          b: {{image: b, depends_on: [z]}}
          z: {{image: redis, {CHECK}}}
        """
    )
    assert waits(result) == ["healthy z 6379", "started b"]


def test_the_whole_pod_of_a_dependency_counts() -> None:
    result = convert(
        f"""
        services:
          a: {{image: a, depends_on: [b]}}
          b: {{image: b}}
          side: {{image: s, network_mode: "service:b", depends_on: {{c: {{{HEALTHY}}}}}}}
          c: {{image: redis, {CHECK}}}
        """
    )
    assert waits(result) == ["healthy c 6379", "started b"]


def test_a_completed_dependency_of_a_dependency_was_a_wave_before() -> None:
    result = convert(
        """
        services:
          a: {image: a, depends_on: [b]}
          b: {image: b, depends_on: {job: {condition: service_completed_successfully}}}
          job: {image: j}
        """
    )
    assert waits(result) == ["started b"]


def test_a_missing_health_check_is_said_where_it_is_asked_for_only() -> None:
    result = convert(
        f"""
        services:
          a: {{image: a, depends_on: [b]}}
          b: {{image: b, depends_on: {{c: {{{HEALTHY}}}}}}}
          c: {{image: redis}}
        """
    )
    found = [d for d in result.diagnostics if d.code == "CMP251"]
    assert [d.path for d in found] == ["services.b.depends_on.c"]


def test_a_circle_is_said_and_ends() -> None:
    result = convert(
        """
        services:
          a: {image: a, depends_on: [b]}
          b: {image: b, depends_on: [a]}
        """
    )
    assert errors(result) == ["CMP142"]


@pytest.mark.parametrize("count", [51, 120])
def test_of_a_long_chain_the_nearest_are_waited_for(count: int) -> None:
    rows = [f"  s{i}: {{image: a, depends_on: [s{i - 1}]}}" for i in range(1, count)]
    text = "\n".join(["services:", "  s0: {image: a}", *rows])
    found = waits(convert(text), f"s{count - 1}")
    assert found == [f"started s{i}" for i in range(count - 1)][-51:]


def test_the_order_of_keys_changes_nothing() -> None:
    rows = ["a: {image: a, depends_on: [b, c]}", "b: {image: b, depends_on: [c]}", "c: {image: c}"]
    one, other = (convert("services: {" + ", ".join(order) + "}") for order in (rows, rows[::-1]))
    assert waits(one) == waits(other) == ["started c", "started b"]
    assert codes(one) == codes(other)
