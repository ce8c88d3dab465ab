"""Which objects wake which add-on."""

from __future__ import annotations

from dataclasses import replace

from agent.bootstrap.addon import AddOn, HelmSource, ManifestSource
from agent.bootstrap.watches import Scope, scopes
from agent.kube import ObjectRef

CHART = AddOn(
    name="operator",
    version="1",
    source=HelmSource("operator", "operator", "1", "https://charts.example", "operator-system"),
    ready=(
        ObjectRef("apps/v1", "Deployment", "operator", "operator-system"),
        ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.example.com"),
    ),
)
STORE = AddOn(
    name="store",
    version="1",
    source=ManifestSource(()),
    ready=(ObjectRef("apps/v1", "StatefulSet", "store", "storage"),),
)


def test_a_chart_is_woken_by_its_helm_objects_and_its_workload():
    found = scopes([CHART], "skerry-system")
    assert Scope("helm.cattle.io/v1", "HelmChart", "skerry-system") in found
    assert Scope("apps/v1", "Deployment", "operator-system") in found
    kinds = {scope.kind for scope in found}
    assert {"Job", "Pod"} <= kinds


def test_objects_without_a_namespace_are_watched_one_by_one():
    found = [s for s in scopes([CHART], "skerry-system") if s.kind == "CustomResourceDefinition"]
    assert {scope.field_selector for scope in found} == {
        "metadata.name=helmcharts.helm.cattle.io",
        "metadata.name=things.example.com",
    }


def test_manifests_need_no_helm():
    assert [scope.kind for scope in scopes([STORE], "skerry-system")] == ["StatefulSet"]


def test_two_charts_share_the_watches_of_helm():
    other = replace(CHART, name="other", ready=())
    found = scopes([CHART, other], "skerry-system")
    assert found[Scope("helm.cattle.io/v1", "HelmChart", "skerry-system")] == ("operator", "other")


def test_a_disabled_add_on_is_not_watched():
    assert not scopes([replace(CHART, enabled=False)], "skerry-system")
