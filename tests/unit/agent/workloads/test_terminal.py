"""Which pod a command runs in."""

from __future__ import annotations

from typing import Any

import pytest

from agent.workloads.errors import WorkloadError
from agent.workloads.terminal import ExecQuery, choose_pod, has_no_shell, main_container


def pod(
    name: str, *, service: str = "web", ready: bool = True, phase: str = "Running", age: int = 0
) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "labels": {"skerry.dev/service": service},
            "creationTimestamp": f"2026-11-23T14:{59 - age:02d}:00Z",
        },
        "spec": {"containers": [{"name": "sidecar"}, {"name": service}]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def chosen(pods: list[dict[str, Any]], **query: Any) -> str:
    name: str = choose_pod(pods, ExecQuery("shop", "demo", **query))["metadata"]["name"]
    return name


def test_the_newest_ready_pod() -> None:
    pods = [pod("old", age=9), pod("new", age=1), pod("newest", age=0, ready=False)]
    assert chosen(pods) == "new"


def test_a_running_pod_when_none_is_ready() -> None:
    assert chosen([pod("a", ready=False), pod("b", phase="Pending")]) == "a"


def test_a_pod_being_deleted_is_not_chosen() -> None:
    going = pod("going")
    going["metadata"]["deletionTimestamp"] = "2026-11-23T14:59:00Z"
    assert chosen([going, pod("staying", age=9)]) == "staying"


def test_the_service_asked_for() -> None:
    assert chosen([pod("a"), pod("b", service="db", age=9)], service="db") == "b"


def test_a_service_by_the_name_in_the_compose_file() -> None:
    assert chosen([pod("a", service="my-db"), pod("b")], service="my_db") == "a"


def test_the_pod_asked_for() -> None:
    assert chosen([pod("a"), pod("b", age=9)], pod="b") == "b"


def test_several_services_and_none_named() -> None:
    with pytest.raises(WorkloadError, match="name one of db, web") as caught:
        chosen([pod("a"), pod("b", service="db")])
    assert caught.value.reason == "INVALID_FIELD"


def test_a_service_whose_pods_have_ended_cannot_be_meant() -> None:
    assert chosen([pod("a"), pod("done", service="migrate", phase="Succeeded")]) == "a"


def test_a_service_that_is_not_there() -> None:
    with pytest.raises(WorkloadError, match="there are web") as caught:
        chosen([pod("a")], service="nope")
    assert caught.value.reason == "INVALID_FIELD"


@pytest.mark.parametrize("query", [{}, {"service": "web"}, {"pod": "a"}])
def test_nothing_running(query: dict[str, str]) -> None:
    with pytest.raises(WorkloadError, match="running") as caught:
        chosen([pod("a", phase="Pending")], **query)
    assert caught.value.reason == "NO_RUNNING_POD"


def test_the_container_named_like_its_service() -> None:
    assert main_container(pod("a")) == "web"
    other = pod("a")
    other["spec"]["containers"] = [{"name": "main"}]
    assert main_container(other) == "main"


def test_only_a_missing_shell_is_a_missing_shell() -> None:
    assert has_no_shell('… exec: "sh": executable file not found in $PATH: unknown')
    assert not has_no_shell('… exec: "bash": executable file not found in $PATH: unknown')
    assert not has_no_shell("")
