"""Mounts of every form."""

from __future__ import annotations

import base64

import pytest

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


def test_a_named_volume_is_a_folder_of_a_claim() -> None:
    result = convert("services: {web: {image: a, volumes: ['d:/data:ro,nocopy']}}\nvolumes: {d: }")
    assert container(result)["volumeMounts"] == [
        {"name": "claim-shop-d", "mountPath": "/data", "subPath": "data", "readOnly": True}
    ]
    assert pod(result)["volumes"] == [
        {"name": "claim-shop-d", "persistentVolumeClaim": {"claimName": "shop-d"}}
    ]
    assert find(result, "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_size_and_class_of_a_claim() -> None:
    result = convert(
        """
        services: {web: {image: a, volumes: ['a:/a', 'b:/b', 'c:/c']}}
        volumes:
          a: {x-skerry: {size: 10Gi, storage_class: fast}}
          b: {labels: {kompose.volume.size: 2g}}
          c: {}
        """,
        default_storage_class="usual",
        default_volume_size="3Gi",
    )
    specs = {
        n: find(result, "PersistentVolumeClaim", n)["spec"] for n in ("shop-a", "shop-b", "shop-c")
    }
    assert [
        (s["resources"]["requests"]["storage"], s["storageClassName"]) for s in specs.values()
    ] == [("10Gi", "fast"), ("2Gi", "usual"), ("3Gi", "usual")]


def test_an_unused_volume_is_not_claimed() -> None:
    assert (
        names(convert("services: {web: {image: a}}\nvolumes: {d: }"), "PersistentVolumeClaim") == []
    )


def test_an_undefined_volume_is_an_error() -> None:
    assert errors(service("volumes: ['d:/data']")) == ["CMP140"]


def test_an_external_volume_must_exist() -> None:
    result = convert(
        "services: {web: {image: a, volumes: ['d:/d']}}\nvolumes: {d: {external: true, name: old}}"
    )
    assert pod(result)["volumes"][0]["persistentVolumeClaim"] == {"claimName": "old"}
    assert names(result, "PersistentVolumeClaim") == []
    assert codes(result) == ["CMP342"]
    assert result.volumes[0].external


def test_an_anonymous_volume_keeps_its_data_under_a_stable_name() -> None:
    first = names(service("volumes: [/data, /other]"), "PersistentVolumeClaim")
    second = names(service("volumes: [/other, /data]"), "PersistentVolumeClaim")
    assert sorted(first) == sorted(second)
    assert len(set(first)) == 2


def test_services_that_share_a_volume_run_on_one_node() -> None:
    result = convert(
        """
        services:
          a: {image: a, volumes: ['one:/d']}
          b: {image: b, volumes: ['one:/d', 'two:/e']}
          c: {image: c, volumes: ['two:/e']}
          d: {image: d, volumes: ['three:/e']}
        volumes: {one: , two: , three: }
        """
    )
    for name in "abc":
        term = pod(result, name)["affinity"]["podAffinity"]
        (rule,) = term["requiredDuringSchedulingIgnoredDuringExecution"]
        labels = find(result, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert rule["labelSelector"]["matchLabels"].items() <= labels.items()
        assert rule["topologyKey"] == "kubernetes.io/hostname"
    assert "affinity" not in pod(result, "d")
    assert len(names(result, "PersistentVolumeClaim")) == 3


def test_a_file_of_the_bundle_is_mounted_from_a_config_map() -> None:
    result = service("volumes: ['./app.conf:/etc/app.conf:ro']", files={"app.conf": b"x=1\n"})
    (mount,) = container(result)["volumeMounts"]
    assert (mount["mountPath"], mount["subPath"]) == ("/etc/app.conf", "app.conf")
    assert list(find(result, "ConfigMap")["data"].values()) == ["x=1\n"]


@pytest.mark.parametrize("name", ["tls.key", ".env", "db_password.txt", "secrets/x"])
def test_what_looks_secret_becomes_a_secret(name: str) -> None:
    result = service(f"volumes: ['./{name}:/x:ro']", files={name: b"x"})
    (value,) = find(result, "Secret")["data"].values()
    assert base64.b64decode(value) == b"x"


def test_binary_files_are_encoded_once() -> None:
    content = bytes(range(256))
    result = service("volumes: ['./logo.png:/logo.png:ro']", files={"logo.png": content})
    (value,) = find(result, "ConfigMap")["binaryData"].values()
    assert base64.b64decode(value) == content


def test_scripts_can_be_executed() -> None:
    result = service("volumes: ['./run:/run.sh:ro']", files={"run": b"#!/bin/sh\n"})
    assert pod(result)["volumes"][0]["configMap"]["items"][0]["mode"] == 0o755


def test_a_read_only_folder_keeps_its_tree() -> None:
    result = service(
        "volumes: ['./conf:/etc/c:ro']", files={"conf/a": b"1", "conf/b/c": b"2", "conf2": b"3"}
    )
    items = pod(result)["volumes"][0]["configMap"]["items"]
    assert [item["path"] for item in items] == ["a", "b/c"]


def test_a_writable_folder_is_a_volume_seeded_from_the_bundle() -> None:
    result = service("volumes: ['./conf:/etc/c']", files={"conf/a": b"1"})
    (seed,) = pod(result)["initContainers"]
    assert [m["mountPath"] for m in seed["volumeMounts"]] == ["/claim", "/files"]
    assert names(result, "PersistentVolumeClaim") == ["shop-path-conf"]


def test_changed_files_roll_the_pods_and_seed_again() -> None:
    def pods(content: bytes) -> tuple[str, str]:
        result = service("volumes: ['./conf:/etc/c']", files={"conf/a": content})
        template = find(result, "Deployment")["spec"]["template"]
        command = template["spec"]["initContainers"][0]["command"]
        return template["metadata"]["annotations"]["skerry.dev/config-checksum"], command[-1]

    assert pods(b"1") == pods(b"1")
    assert set(pods(b"1")).isdisjoint(pods(b"2"))


def test_a_path_that_is_not_in_the_bundle_is_one_volume_for_all() -> None:
    result = convert(
        """
        services:
          a: {image: a, volumes: ['./data:/d']}
          b: {image: b, volumes: ['data/../data/:/e', './data:/f']}
        """.replace("data/../", "./data/../")
    )
    assert names(result, "PersistentVolumeClaim") == ["shop-path-data"]
    assert set(codes(result)) == {"CMP336"}


def test_a_missing_file_is_told_apart_from_a_data_folder() -> None:
    assert codes(service("volumes: ['./nginx.conf:/etc/nginx/nginx.conf']")) == ["CMP335"]


def test_too_large_content_is_an_error() -> None:
    assert errors(service("volumes: ['./big:/big:ro']", files={"big": b"x" * 2_000_000})) == [
        "CMP214"
    ]


def test_volume_names_that_collide_are_an_error_naming_both() -> None:
    result = convert(
        "services: {web: {image: a, volumes: ['my_v:/a', 'my-v:/b']}}\nvolumes: {my_v: , my-v: }"
    )
    (found,) = [d for d in result.diagnostics if d.code == "CMP130"]
    assert '"my_v"' in found.message
    assert '"my-v"' in found.message


def test_memory_volumes() -> None:
    result = service(
        """
        tmpfs: ["/run:size=64m,noexec", /tmp]
        shm_size: 1g
        volumes: [{type: tmpfs, target: /cache, tmpfs: {size: 10m}}]
        """
    )
    by_name = {v["name"]: v["emptyDir"] for v in pod(result)["volumes"]}
    mounts = {m["mountPath"]: by_name[m["name"]] for m in container(result)["volumeMounts"]}
    assert mounts == {
        "/cache": {"medium": "Memory", "sizeLimit": "10Mi"},
        "/run": {"medium": "Memory", "sizeLimit": "64Mi"},
        "/tmp": {"medium": "Memory"},
        "/dev/shm": {"medium": "Memory", "sizeLimit": "1Gi"},
    }


def test_volumes_from_takes_the_mounts_of_another_service() -> None:
    result = convert(
        """
        services:
          web: {image: a, volumes_from: ['db:ro'], volumes: ['own:/own']}
          db: {image: b, volumes: ['d:/data', 'e:/own']}
        volumes: {d: , e: , own: }
        """
    )
    mounts = {m["mountPath"]: m["name"] for m in container(result)["volumeMounts"]}
    assert mounts == {"/data": "claim-shop-d", "/own": "claim-shop-own"}


def test_volumes_from_shares_anonymous_volumes_and_goes_on_to_others() -> None:
    result = convert(
        """
        services:
          a: {image: a, volumes: [/x]}
          b: {image: b, volumes_from: [a], volumes: [/y]}
          web: {image: c, volumes_from: [b]}
        """
    )
    mounts = {m["mountPath"]: m["name"] for m in container(result)["volumeMounts"]}
    own = {m["mountPath"]: m["name"] for m in container(result, "a")["volumeMounts"]}
    assert mounts == {m["mountPath"]: m["name"] for m in container(result, "b")["volumeMounts"]}
    assert (mounts["/x"], len(mounts)) == (own["/x"], 2)


def test_volumes_from_cannot_multiply_without_end() -> None:
    volumes = ", ".join(f"/v{i}" for i in range(300))
    first = f"  s0: {{image: a, volumes: [{volumes}]}}\n"
    others = "".join(
        f"  s{i}: {{image: a, volumes_from: [{', '.join(f's{j}' for j in range(i))}]}}\n"
        for i in range(1, 100)
    )
    assert "CMP014" in errors(convert(f"services:\n{first}{others}"))


def test_subpath_stays_in_the_volume() -> None:
    text = "services: {{web: {{image: a, volumes: [{{type: volume, source: d, target: /d, volume: {{subpath: {0}}}}}]}}}}\nvolumes: {{d: }}"
    assert container(convert(text.format("x/y")))["volumeMounts"][0]["subPath"] == "data/x/y"
    assert errors(convert(text.format("../other"))) == ["CMP340"]


@pytest.mark.parametrize("target", ["relative", "", "C:/x"])
def test_a_target_must_be_absolute(target: str) -> None:
    assert errors(service(f"volumes: [{{type: tmpfs, target: '{target}'}}]")) == ["CMP340"]


def test_two_mounts_at_one_place_are_reported() -> None:
    result = convert("services: {web: {image: a, volumes: ['a:/x', 'b:/x/']}}\nvolumes: {a: , b: }")
    assert codes(accepted(result)) == ["CMP341"]
    assert container(result)["volumeMounts"][0]["name"] == "claim-shop-b"


def test_several_secrets_are_files_of_their_own() -> None:
    result = convert(
        """
        services:
          web:
            image: a
            secrets: [one, {source: two, target: renamed, mode: 0400}]
            configs: [conf, {source: conf, target: /etc/conf}]
        secrets: {one: {content: s1}, two: {environment: TWO}}
        configs: {conf: {file: ./c.txt}}
        """,
        variables={"TWO": "s2"},
        files={"c.txt": b"c"},
    )
    paths = [m["mountPath"] for m in container(result)["volumeMounts"]]
    assert paths == ["/conf", "/etc/conf", "/run/secrets/one", "/run/secrets/renamed"]
    assert len(set(paths)) == len(paths)
    modes = [v["secret"]["items"][0].get("mode") for v in pod(result)["volumes"] if "secret" in v]
    assert modes == [None, 0o400]
    assert base64.b64decode(find(result, "Secret", "shop-secret-two")["data"]["content"]) == b"s2"


def test_undefined_grants_are_errors() -> None:
    assert errors(service("secrets: [a]\nconfigs: [b]")) == ["CMP140", "CMP140"]


def test_paths_that_look_alike_stay_apart() -> None:
    result = service(
        "volumes: ['./a.b:/1:ro', './a-b:/2:ro', './a_b:/3:ro', './x.y:/4', './x-y:/5']",
        files={"a.b": b"1", "a-b": b"2", "a_b": b"3"},
    )
    content = [
        next(iter(find(result, "ConfigMap", n)["data"].values()))
        for n in names(result, "ConfigMap")
    ]
    assert sorted(content) == ["1", "2", "3"]
    assert len(set(names(result, "PersistentVolumeClaim"))) == 2


def test_secrets_that_look_alike_stay_apart() -> None:
    result = convert(
        "services: {web: {image: a, secrets: [a_b, a-b]}}\n"
        "secrets: {a_b: {content: '1'}, a-b: {content: '2'}}"
    )
    values = [find(result, "Secret", n)["data"]["content"] for n in names(result, "Secret")]
    assert [base64.b64decode(value) for value in values] == [b"1", b"2"]


def test_objects_that_collide_are_an_error() -> None:
    result = convert(
        "services: {secret: {image: a, environment: {A: 1}, secrets: [env]}}\n"
        "secrets: {env: {content: x}}"
    )
    assert errors(result) == ["CMP130"]


def test_a_single_file_cannot_be_written() -> None:
    assert codes(service("volumes: ['./a:/a']", files={"a": b""})) == ["CMP337"]
    assert codes(service("volumes: ['./a:/a:ro']", files={"a": b""})) == []


def test_an_image_is_mounted_read_only() -> None:
    result = service(
        """
        volumes:
          - {type: image, source: 'assets:1', target: /assets}
          - {type: image, source: 'assets:1', target: /css, image: {subpath: ./a/css}}
        """
    )
    (volume,) = pod(result)["volumes"]
    assert volume["image"] == {"reference": "assets:1"}
    assert container(result)["volumeMounts"] == [
        {"name": volume["name"], "mountPath": "/assets", "readOnly": True},
        {"name": volume["name"], "mountPath": "/css", "readOnly": True, "subPath": "a/css"},
    ]
    assert codes(result) == ["CMP346", "CMP346"]


@pytest.mark.parametrize(
    ("policy", "wanted"), [("always", "Always"), ("missing", "IfNotPresent"), ("daily", "Always")]
)
def test_an_image_volume_is_pulled_as_the_service_is(policy: str, wanted: str) -> None:
    result = service(
        f"pull_policy: {policy}\nvolumes: [{{type: image, source: assets, target: /a}}]"
    )
    assert pod(result)["volumes"][0]["image"] == {"reference": "assets", "pullPolicy": wanted}
    assert container(result)["imagePullPolicy"] == wanted


def test_services_of_one_pod_share_an_image_volume() -> None:
    mounted = "volumes: [{type: image, source: assets, target: /a}]"
    result = convert(
        f"services: {{web: {{image: a, {mounted}}}, side: {{image: b, pid: 'service:web', {mounted}}}}}"
    )
    assert [volume["image"] for volume in pod(result)["volumes"]] == [{"reference": "assets"}]
