"""What people are shown of manifests: no bookkeeping, no secrets, bounded."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.workloads.diff import documents, presentable, unified

SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "uid": "u", "managedFields": [{}]},
    "data": {"PASSWORD": "aHVudGVyMg==", "USER": "bWU="},
}


def test_bookkeeping_and_status_are_left_out() -> None:
    shown = presentable({**SECRET, "status": {"x": 1}})
    assert shown["metadata"] == {"name": "s"}
    assert "status" not in shown


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=9), min_size=1))
def test_no_secret_value_is_ever_shown(data: dict[str, str]) -> None:
    values = {name: f"value-{value}" for name, value in data.items()}
    secret = {**SECRET, "data": values, "stringData": values}
    text = documents([secret]) + unified("s", {**secret, "data": {}}, secret)
    assert "value-" not in text.replace("<hidden>", "")


def test_a_changed_secret_says_so_and_an_unchanged_one_does_not() -> None:
    changed = {**SECRET, "data": {**SECRET["data"], "PASSWORD": "b3RoZXI="}}
    diff = unified("s", SECRET, changed)
    assert "+  PASSWORD: <hidden, changed>" in diff
    assert "+  USER" not in diff


def test_a_diff_is_unified_with_both_names() -> None:
    before = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    diff = unified("ConfigMap/c", before, {**before, "data": {"a": "2"}})
    assert diff.startswith("--- live/ConfigMap/c\n+++ wanted/ConfigMap/c\n")
    assert "-  a: '1'\n+  a: '2'\n" in diff


def test_nothing_changed_is_no_diff() -> None:
    assert unified("s", SECRET, SECRET) == ""


def test_a_huge_diff_is_cut_and_says_so() -> None:
    large = {"kind": "ConfigMap", "metadata": {}, "data": {str(i): "x" * 100 for i in range(2000)}}
    diff = unified("c", None, large)
    assert len(diff) < 70_000
    assert "more characters are not shown" in diff
