"""The record of an app: written, read back, and what is pruned from it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.kube import ObjectRef
from agent.workloads.inventory import (
    Failed,
    Inventory,
    Stage,
    from_manifest,
    to_manifest,
    to_prune,
    union,
)

names = st.sampled_from(["a", "b", "c", "d"])
kinds = st.sampled_from(
    [
        ("apps/v1", "Deployment"),
        ("v1", "Service"),
        ("v1", "PersistentVolumeClaim"),
        ("batch/v1", "Job"),
    ]
)
refs = st.lists(
    st.builds(lambda kind, name: ObjectRef(*kind, name, "shop"), kinds, names), max_size=12
)


def record(**changes: object) -> Inventory:
    values: dict[str, object] = {
        "app": "demo",
        "app_uid": "uid",
        "revision": 3,
        "deployment": "d",
        "compose_hash": "h",
        "stage": Stage.READY,
        "objects": (ObjectRef("v1", "Service", "web", "shop"),),
    }
    return Inventory(**{**values, **changes})  # type: ignore[arg-type]


def stored(inventory: Inventory) -> Inventory | None:
    manifest = to_manifest(inventory)
    manifest["metadata"]["namespace"] = "shop"
    return from_manifest(manifest)


def test_a_record_is_read_as_it_was_written() -> None:
    failed = record(stage=Stage.FAILED, failed=Failed(4, 10, "CrashLoop", "exits"))
    assert stored(record()) == record()
    assert stored(failed) == failed


@given(refs)
def test_any_objects_survive_being_stored(objects: list[ObjectRef]) -> None:
    assert stored(record(objects=tuple(objects))) == record(objects=tuple(objects))


def test_a_record_edited_by_hand_is_no_record() -> None:
    manifest = to_manifest(record())
    for broken in ("", "[]", "{}", "null", '{"app": 1}'):
        manifest["data"]["inventory.json"] = broken
        assert from_manifest(manifest) is None


@given(refs, refs)
def test_pruning_takes_what_is_gone_and_never_a_volume(
    former: list[ObjectRef], wanted: list[ObjectRef]
) -> None:
    pruned = to_prune(former, wanted)
    assert all(ref.kind != "PersistentVolumeClaim" for ref in pruned)
    assert not set(pruned) & set(wanted)
    assert set(pruned) <= set(former)
    left = set(former) - set(pruned) - set(wanted)
    assert all(ref.kind == "PersistentVolumeClaim" for ref in left)
    assert len(pruned) == len(set(pruned))


def test_the_last_applied_is_pruned_first() -> None:
    former = [ObjectRef("v1", "Service", "web"), ObjectRef("apps/v1", "Deployment", "web")]
    assert to_prune(former, []) == former[::-1]


def test_a_newer_version_of_the_api_is_the_same_object() -> None:
    former = [ObjectRef("batch/v1beta1", "CronJob", "nightly")]
    assert to_prune(former, [ObjectRef("batch/v1", "CronJob", "nightly")]) == []


@given(refs, refs)
def test_a_union_has_each_object_once(first: list[ObjectRef], second: list[ObjectRef]) -> None:
    both = union(first, second)
    assert set(both) == {*first, *second}
    assert len(both) == len(set(both))
