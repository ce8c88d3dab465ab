"""The list of rights and the roles in deploy/ are the same."""

from __future__ import annotations

from pathlib import Path

import yaml

from agent.permissions import RULES, render

RBAC = Path(__file__).parents[3] / "deploy" / "agent" / "rbac.yaml"


def test_the_roles_are_the_list():
    assert RBAC.read_text() == render(), "python -m agent.permissions > deploy/agent/rbac.yaml"


def test_each_right_is_granted_once():
    granted = [
        (rule.own_namespace, rule.group, resource, verb)
        for rule in RULES
        for resource in rule.resources
        for verb in rule.verbs
    ]
    assert len(granted) == len(set(granted))


def test_no_rule_is_a_wildcard():
    rules = [
        rule for document in yaml.safe_load_all(render()) for rule in document.get("rules", ())
    ]
    assert rules
    assert not any(
        "*" in rule[key] for rule in rules for key in ("apiGroups", "resources", "verbs")
    )


def test_charts_are_written_in_the_agents_own_namespace_only():
    writes = [r for r in RULES if "helmcharts" in r.resources and "create" in r.verbs]
    assert [rule.own_namespace for rule in writes] == [True]
