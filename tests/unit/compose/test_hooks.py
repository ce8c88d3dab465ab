"""Lifecycle hooks, the stop signal and the first process of the pod."""

from __future__ import annotations

import subprocess

import pytest

from agent.compose import Severity
from tests.unit.compose.helpers import accepted, codes, container, convert, pod, service


def event(body: str, name: str) -> list[str]:
    return container(service(body))["lifecycle"][name]["exec"]["command"]


def test_a_single_hook_is_run_as_it_is() -> None:
    assert event("post_start: [{command: [./seed, $$A, a b]}]", "postStart") == [
        "./seed", "$A", "a b",
    ]  # fmt: skip
    assert event("pre_stop: [{command: ./drain 5}]", "preStop") == ["./drain", "5"]


def test_several_hooks_are_joined_and_keep_their_words() -> None:
    command = event(
        """
        post_start:
          - command: [printf, "%s|", "a b", "it's", $$HOME]
            environment: {X: "1 2"}
          - command: sh -c 'printf "%s" "$$X"'
            environment: [X=$$Y 'q']
            working_dir: /tmp
          - command: [env]
            environment: {a.b: "c d"}
        """,
        "postStart",
    )
    assert command[:2] == ["/bin/sh", "-c"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("a b|it's|$HOME|$Y 'q'")
    assert "a.b=c d" in done.stdout


def test_a_hook_that_fails_stops_those_after_it() -> None:
    command = event("post_start: [{command: false}, {command: echo late}]", "postStart")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode != 0, done.stdout) == (True, "")


def test_another_user_of_a_hook_is_a_warning() -> None:
    hook = "post_start: [{command: x, user: root}]"
    assert codes(service(hook)) == ["CMP161"]
    assert codes(service(f"{hook}\nuser: root")) == []


def test_pre_start_is_an_init_container_with_everything_of_the_service() -> None:
    first, second = pod(
        service(
            """
            entrypoint: [/entry]
            environment: {A: b}
            volumes: [{type: volume, target: /data, volume: {nocopy: true}}]
            working_dir: /app
            cap_drop: [ALL]
            pre_start:
              - command: migrate $$X
                environment: {B: $$(A)}
              - image: curl
                user: root
                working_dir: /
            """
        )
    )["initContainers"]
    main = container(service("environment: {A: b}"))
    assert first["image"] == "app"
    assert (first["command"], first["args"]) == (["/entry"], ["migrate", "$$X"])
    assert first["envFrom"] == main["envFrom"]
    assert first["env"] == [{"name": "B", "value": "$$(A)"}]
    assert first["workingDir"] == "/app"
    assert [m["mountPath"] for m in first["volumeMounts"]] == ["/data"]
    assert first["securityContext"] == {"capabilities": {"drop": ["ALL"]}}
    assert (second["image"], second["workingDir"]) == ("curl", "/")
    assert "command" not in second
    assert second["securityContext"] == {"capabilities": {"drop": ["ALL"]}, "runAsUser": 0}


@pytest.mark.parametrize(("once", "found"), [("false", ["CMP161"]), ("true", [])])
def test_a_hook_of_the_whole_service_with_replicas_is_a_warning(
    once: str, found: list[str]
) -> None:
    result = service(f"scale: 2\npre_start: [{{command: x, per_replica: {once}}}]")
    assert codes(accepted(result)) == found


def test_hooks_are_appended_by_later_files() -> None:
    result = convert(
        "services: {web: {image: a, pre_start: [{command: a}]}}",
        "services: {web: {pre_start: [{command: b}]}}",
    )
    assert [c["args"] for c in pod(result)["initContainers"]] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("signal", "script"),
    [
        ("SIGQUIT", "kill -s QUIT 1; sleep 28"),
        ("quit", "kill -s QUIT 1; sleep 28"),
        ("3", "kill -3 1; sleep 28"),
        ("SIGRTMIN+3", "kill -s RTMIN+3 1; sleep 28"),
    ],
)
def test_the_stop_signal_is_sent_by_a_shell(signal: str, script: str) -> None:
    result = service(f"stop_signal: '{signal}'")
    assert codes(result, Severity.WARNING) == ["CMP403"]
    assert container(result)["lifecycle"]["preStop"]["exec"]["command"] == [
        "/bin/sh", "-c", script,
    ]  # fmt: skip


def test_the_stop_signal_comes_after_the_hooks_and_within_the_time() -> None:
    body = "stop_signal: SIGINT\nstop_grace_period: 90s\npre_stop: [{command: drain}]"
    assert event(body, "preStop")[2] == "drain; kill -s INT 1; sleep 88"


@pytest.mark.parametrize("line", ["stop_signal: SIGTERM", "stop_signal: SIGINT\ninit: true", ""])
def test_no_signal_is_sent_where_it_is_the_usual_one_or_has_no_target(line: str) -> None:
    assert "lifecycle" not in container(service(line))


def test_init_lets_the_pods_first_process_reap() -> None:
    assert pod(service("init: true"))["shareProcessNamespace"] is True
    assert "shareProcessNamespace" not in pod(service("init: false"))
