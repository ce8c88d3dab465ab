"""From Kubernetes objects to facts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.facts.collect import (
    distribution,
    helm_controller_answers,
    node_facts,
    storage_class_facts,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NODE = {
    "metadata": {"name": "nuc"},
    "spec": {},
    "status": {
        "nodeInfo": {"kubeletVersion": "v1.36.4+k3s1", "architecture": "amd64"},
        "allocatable": {"cpu": "3800m", "memory": "16Gi"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.5"}],
    },
}


def chart(created: str, annotations=None):
    return {"metadata": {"creationTimestamp": created, "annotations": annotations or {}}}


@pytest.mark.parametrize(
    ("version", "name"), [("v1.36.4+k3s1", "k3s"), ("v1.35.4", "kubernetes"), ("", "kubernetes")]
)
def test_k3s_is_told_by_its_version(version, name):
    assert distribution(version) == name


def test_a_node():
    facts = node_facts(NODE)
    assert (facts.name, facts.ready, facts.architecture) == ("nuc", True, "amd64")
    assert (facts.cpu_millis, facts.memory_bytes) == (3800, 16 << 30)
    assert list(facts.addresses) == ["InternalIP=10.0.0.5"]


def test_a_cordoned_node_takes_no_pods():
    assert not node_facts({**NODE, "spec": {"unschedulable": True}}).ready


def test_a_node_that_only_just_joined_has_no_status():
    assert not node_facts({"metadata": {"name": "new"}}).ready


def test_the_default_storage_class():
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    facts = storage_class_facts(
        {"metadata": {"name": "local-path", "annotations": annotations}, "provisioner": "p"}
    )
    assert (facts.name, facts.provisioner, facts.is_default) == ("local-path", "p", True)


def test_a_mark_on_a_chart_shows_the_controller():
    marked = chart("2026-01-01T11:59:59Z", {"helmcharts.cattle.io/managed-by": "helm-controller"})
    assert helm_controller_answers([marked], NOW) is True


def test_an_old_chart_without_a_mark_shows_that_there_is_none():
    assert helm_controller_answers([chart("2026-01-01T11:00:00Z")], NOW) is False


@pytest.mark.parametrize("charts", [[], [chart("2026-01-01T11:59:59Z")]])
def test_without_an_old_chart_nobody_can_tell(charts):
    assert helm_controller_answers(charts, NOW) is None
