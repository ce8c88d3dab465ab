"""Labels and annotations: kept where nothing acts on them, and hints of traefik and kompose."""

from __future__ import annotations

from typing import Any

import pytest

from agent.compose import Plan, Severity
from tests.unit.compose.helpers import (
    accepted,
    codes,
    container,
    convert,
    errors,
    find,
    names,
    pod,
    service,
)


def annotations(result: Plan) -> dict[str, str]:
    found: dict[str, str] = find(result, "Deployment")["metadata"].get("annotations", {})
    return found


def pod_annotations(result: Plan) -> dict[str, str]:
    found: dict[str, str] = find(result, "Deployment")["spec"]["template"]["metadata"][
        "annotations"
    ]
    return found


def test_labels_are_kept_as_annotations_of_our_own() -> None:
    result = service("labels: {com.example/team: a, Other_1: 'b c'}\ndeploy: {labels: [x=y]}")
    assert annotations(result) == {
        "label.skerry.dev/com.example_team": "a",
        "label.skerry.dev/Other_1": "b c",
        "label.skerry.dev/x": "y",
    }
    assert set(codes(result)) == {"CMP407"}


@pytest.mark.parametrize("name", ["a" * 64, "a b", "-x", "é"])
def test_a_label_that_cannot_be_kept_is_a_warning(name: str) -> None:
    result = service(f"labels: {{'{name}': x}}")
    assert codes(accepted(result), Severity.WARNING) == ["CMP407"]
    assert annotations(result) == {}


def test_labels_come_from_files_and_the_service_wins() -> None:
    result = service(
        "label_file: [a.labels, b.labels]\nlabels: {three: own}",
        files={"a.labels": b"one=1\ntwo=1\n", "b.labels": b"# x\ntwo=2\nthree=2\n"},
    )
    assert annotations(result) == {
        "label.skerry.dev/one": "1",
        "label.skerry.dev/two": "2",
        "label.skerry.dev/three": "own",
    }


def test_a_label_file_that_is_missing_is_an_error() -> None:
    assert errors(service("label_file: none.labels")) == ["CMP210"]


def test_label_files_are_hints_and_are_checked_too() -> None:
    files = {"l": b"traefik.enable=true\nkompose.controller.port.expose=1\n"}
    assert errors(service("label_file: l", files=files)) == ["CMP324"]


def test_annotations_are_on_the_pod_where_nothing_acts_on_them() -> None:
    result = service("annotations: {prometheus.io/scrape: true, a/b: c}")
    found = pod_annotations(result)
    assert found["prometheus.io/scrape"] == "true"
    assert found["annotation.skerry.dev/a_b"] == "c"


@pytest.mark.parametrize(
    "name",
    [
        "kubernetes.io/ingress-bandwidth", "x.kubernetes.io/y", "scheduler.k8s.io/z",
        "container.apparmor.security.beta.kubernetes.io/web", "io.kubernetes.cri-o.userns-mode",
        "skerry.dev/app", "label.skerry.dev/x", "com.docker.compose.project", "run.oci.handler",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["annotations", "labels"])
def test_reserved_names_are_refused(key: str, name: str) -> None:
    assert errors(service(f"{key}: {{{name}: x}}")) == ["CMP321"]


@pytest.mark.parametrize(
    ("labels", "host", "port"),
    [
        ("['traefik.http.routers.a.rule=Host(`A.example.com`) || Host(`b`)']", "a.example.com", None),
        ("['traefik.frontend.rule=Host:a.example.com', traefik.port=81]", "a.example.com", 81),
        ("[traefik.enable=true, traefik.http.services.x.loadbalancer.server.port=82]", "", 82),
    ],
)  # fmt: skip
def test_traefik_says_what_is_public(labels: str, host: str, port: int | None) -> None:
    result = convert(f"services: {{a: {{image: a}}, b: {{image: b, labels: {labels}}}}}")
    public = accepted(result).public
    assert public is not None
    assert (public.service, public.host, public.port) == ("b", host, port)


def kompose(**labels: str) -> str:
    lines = "".join(f"\n  kompose.{k.replace('__', '.').replace('_', '-')}: {v!r}" for k, v in labels.items())  # fmt: skip
    return f"labels:{lines}"


def test_kompose_cron_jobs() -> None:
    result = service(
        "labels: {kompose.cronjob.schedule: '@daily', kompose.cronjob.backoff_limit: 3,"
        " kompose.cronjob.concurrency_policy: allow}"
    )
    spec = find(result, "CronJob")["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("@daily", "Allow")
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 3


def test_kompose_names_and_headless_services() -> None:
    result = service(
        "ports: ['80']\nlabels: {kompose.service.name_override: shop, kompose.service.type: headless}"
    )
    assert names(result, "Service") == ["web", "shop"]
    assert find(result, "Service", "web")["spec"]["clusterIP"] == "None"


def test_kompose_volumes() -> None:
    result = convert(
        """
        services:
          web:
            image: a
            volumes: ["a:/a", "b:/b", /c]
            labels: {kompose.volume.size: 3g, kompose.volume.storage-class-name: fast,
                     kompose.volume.subpath: in}
        volumes: {a: , b: {x-skerry: {size: 5Gi, storage_class: slow}}}
        """
    )
    claims = {m["metadata"]["name"]: m["spec"] for m in result.manifests if m["kind"] == "PersistentVolumeClaim"}  # fmt: skip
    sizes = {n: s["resources"]["requests"]["storage"] for n, s in claims.items()}
    assert list(sizes.values()) == ["3Gi", "5Gi", "3Gi"]
    assert [s["storageClassName"] for s in claims.values()] == ["fast", "slow", "fast"]
    assert {m["subPath"] for m in container(result)["volumeMounts"]} == {"data/in"}


def test_kompose_pull_policy_and_group() -> None:
    result = service(
        kompose(image_pull_policy="IfNotPresent", security_context__fsgroup="77")
        + "\nvolumes: [/x]"
    )
    assert container(result)["imagePullPolicy"] == "IfNotPresent"
    assert pod(result)["securityContext"]["fsGroup"] == 77
    assert container(service("labels: {kompose.image-pull-policy: Always}\npull_policy: missing"))["imagePullPolicy"] == "IfNotPresent"  # fmt: skip


@pytest.mark.parametrize(
    ("command", "args"), [('["sh", "-c", "x y"]', ["sh", "-c", "x y"]), ("run it", ["run", "it"])]
)
def test_kompose_init_containers(command: str, args: list[str]) -> None:
    (init,) = pod(
        service(
            f"labels:\n  kompose.init.containers.image: busybox\n"
            f"  kompose.init.containers.command: '{command}'"
        )
    )["initContainers"]
    assert (init["image"], init["args"]) == ("busybox", args)


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("kompose.image-pull-policy: Never", "CMP319"),
        ('kompose.init.containers.command: "\'"', "CMP221"),
        ("kompose.cronjob.schedule: often", "CMP501"),
        ("kompose.service.type: nodeport", "CMP324"),
        ("kompose.volume.type: hostPath", "CMP324"),
    ],
)
def test_kompose_labels_that_are_refused(label: str, code: str) -> None:
    assert errors(service(f"labels:\n  {label}")) == [code]


@pytest.mark.parametrize(
    "label",
    [
        "kompose.service.type: loadbalancer", "kompose.controller.type: daemonset",
        "kompose.cronjob.concurrency_policy: maybe", "kompose.cronjob.backoff_limit: x",
        "kompose.volume.size: big", "kompose.volume.type: emptyDir", "kompose.volume.size: 0",
        "kompose.volume.storage-class-name: A B", "kompose.image-pull-policy: maybe",
        "kompose.image-pull-secret: s", "kompose.service.healthcheck.readiness.test: x",
        "kompose.service.expose.tls-secret: s", "kompose.security-context.fsgroup: x",
    ],
)  # fmt: skip
def test_kompose_labels_without_an_effect_are_warnings(label: str) -> None:
    result = service(f"labels:\n  {label}")
    assert codes(accepted(result), Severity.WARNING) == ["CMP325"]


def test_nothing_of_a_label_rolls_the_pods() -> None:
    def template(text: str) -> Any:
        return find(service(text), "Deployment")["spec"]["template"]

    assert template("labels: {a: b}") == template("labels: {a: c}")
