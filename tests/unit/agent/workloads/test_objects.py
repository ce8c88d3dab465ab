"""Whose an object is, and which cannot be changed in place."""

from __future__ import annotations

from typing import Any

import pytest

from agent.workloads.errors import OwnedElsewhereError
from agent.workloads.model import EnvironmentSpec
from agent.workloads.objects import foreign_owner, must_be_replaced, owned

SHOP = EnvironmentSpec("shop", "uid", "default", "store", "prod")


def live(labels: dict[str, str], *managers: str) -> dict[str, Any]:
    fields = [{"manager": manager} for manager in managers]
    return {"metadata": {"name": "web", "labels": labels, "managedFields": fields}}


def test_an_app_owns_what_carries_its_labels() -> None:
    mine = live({"app.kubernetes.io/managed-by": "skerry", "skerry.dev/app": "demo"})
    assert foreign_owner(mine, "demo") is None
    assert foreign_owner(mine, "other") == "app demo"


def test_what_was_made_by_hand_belongs_to_who_made_it() -> None:
    owner = foreign_owner(live({}, "kubectl-create", "kubectl-create"), "demo")
    assert owner == "somebody else (kubectl-create)"


def test_the_guards_of_the_environment_are_no_apps() -> None:
    guard = live({"app.kubernetes.io/managed-by": "skerry"})
    assert foreign_owner(guard, "demo") == "the environment itself"


def test_a_manifest_is_marked_without_changing_the_original() -> None:
    manifest = {"kind": "Service", "metadata": {"name": "web", "labels": {"mine": "1"}}}
    marked = owned(manifest, "demo", SHOP)
    assert marked["metadata"]["namespace"] == "shop"
    assert marked["metadata"]["labels"]["skerry.dev/app"] == "demo"
    assert marked["metadata"]["labels"]["mine"] == "1"
    assert manifest["metadata"] == {"name": "web", "labels": {"mine": "1"}}


def test_a_manifest_outside_the_environment_is_refused() -> None:
    manifest = {"kind": "Service", "metadata": {"name": "web", "namespace": "kube-system"}}
    with pytest.raises(OwnedElsewhereError, match="outside"):
        owned(manifest, "demo", SHOP)


@pytest.mark.parametrize(
    ("wanted", "has", "replaced"),
    [
        ({"clusterIP": "None"}, {"clusterIP": "None"}, False),
        ({}, {"clusterIP": "10.43.0.9"}, False),
        ({}, {"clusterIP": "None"}, True),
        ({"clusterIP": "None"}, {"clusterIP": "10.43.0.9"}, True),
    ],
)
def test_a_service_changes_between_headless_and_ordinary_only_by_being_made_anew(
    wanted: dict[str, str], has: dict[str, str], replaced: bool
) -> None:
    assert must_be_replaced({"kind": "Service", "spec": wanted}, {"spec": has}) is replaced


def test_nothing_else_is_replaced_on_sight() -> None:
    assert not must_be_replaced({"kind": "Deployment"}, {"spec": {"clusterIP": "None"}})
