"""The complaints kompose hears most, each with what happens here.

Numbers in the names are kompose's issues. Where another module has more of the same, it is told.
"""

from __future__ import annotations

import base64

from agent.compose import HostAlias
from tests.unit.compose.helpers import (
    accepted,
    codes,
    container,
    convert,
    environment,
    errors,
    find,
    names,
    pod,
    service,
)


def test_01_no_service_without_ports_58_68_146_291() -> None:
    result = convert("services: {web: {image: a, depends_on: [worker]}, worker: {image: b}}")
    assert names(result, "Service") == ["web", "worker"]


def test_02_depends_on_is_ignored_939_1053_1392() -> None:
    result = convert(
        """
        services:
          web: {image: a, depends_on: {db: {condition: service_healthy}}}
          db: {image: postgres, healthcheck: {test: [CMD, pg_isready]}}
        """
    )
    assert pod(result)["initContainers"][0]["command"][-1] == "healthy db 5432"


def test_03_dollars_in_commands_are_mangled_1636_1906() -> None:
    result = service(
        "command: [sh, -c, 'echo $$HOME $${X:-y} $$(date) $FOO']", variables={"FOO": "bar"}
    )
    args = container(result)["args"]
    # The container gets $HOME, ${X:-y} and $(date): Kubernetes turns each doubled dollar into one.
    assert args[2] == "echo $$HOME $${X:-y} $$(date) bar"


def test_04_a_health_check_without_a_command_panics_1564() -> None:
    assert codes(accepted(service("healthcheck: {interval: 10s}"))) == ["CMP241"]
    assert codes(accepted(service("healthcheck: {test: NONE, disable: true}"))) == []


def test_05_a_shell_health_check_is_one_program_name() -> None:
    probe = container(service("healthcheck: {test: 'echo \"hello world\"'}"))["readinessProbe"]
    assert probe["exec"]["command"] == ["/bin/sh", "-c", 'echo "hello world"']


def test_06_several_secrets_collide_1894_1877() -> None:
    result = convert(
        "services: {web: {image: a, secrets: [a, b]}}\nsecrets: {a: {content: x}, b: {content: y}}"
    )
    mounts = container(result)["volumeMounts"]
    assert [m["mountPath"] for m in mounts] == ["/run/secrets/a", "/run/secrets/b"]
    assert all(m["subPath"] for m in mounts)


def test_07_a_secret_is_a_folder_at_the_wrong_path_1280_1778() -> None:
    result = convert(
        "services: {web: {image: a, secrets: [My_Key]}}\nsecrets: {My_Key: {content: x}}"
    )
    (mount,) = container(result)["volumeMounts"]
    assert mount["mountPath"] == "/run/secrets/My_Key"
    assert mount["subPath"], "without it the path is a folder"


def test_08_mounted_config_files_are_lost_1060_1794_855() -> None:
    files = {"a.conf": b"a", "d/b.conf": b"b", "d/sub/c.conf": b"c"}
    result = service("volumes: ['./a.conf:/a.conf:ro', './d:/d:ro']", files=files)
    content = [value for name in names(result, "ConfigMap")
               for value in find(result, "ConfigMap", name)["data"].values()]  # fmt: skip
    assert sorted(content) == ["a", "b", "c"]


def test_09_binary_files_are_encoded_twice_2082() -> None:
    # The second is text but for its zero byte, which Kubernetes does not take in text.
    for content in (b"\x89PNG\r\n\x1a\n\x00\x00", b"a\x00b"):
        result = service("volumes: ['./logo.png:/logo.png:ro']", files={"logo.png": content})
        (value,) = find(result, "ConfigMap")["binaryData"].values()
        assert base64.b64decode(value) == content


def test_10_shared_volumes_cannot_be_scheduled_116_1046_1390() -> None:
    result = convert(
        "services: {a: {image: a, volumes: ['v:/x']}, b: {image: b, volumes: ['v:/y']}}\nvolumes: {v: }"
    )
    assert names(result, "PersistentVolumeClaim") == ["shop-v"]
    assert pod(result, "a")["affinity"] == pod(result, "b")["affinity"]


def test_11_volumes_have_100mi_235_376_1374() -> None:
    result = convert(
        "services: {a: {image: a, volumes: ['v:/x']}}\n"
        "volumes: {v: {x-skerry: {size: 20Gi, storage_class: fast}}}"
    )
    spec = find(result, "PersistentVolumeClaim")["spec"]
    assert (spec["resources"]["requests"]["storage"], spec["storageClassName"]) == ("20Gi", "fast")


def test_12_a_database_is_rolled_over_its_own_data_698_1429() -> None:
    result = convert("services: {db: {image: postgres, volumes: ['v:/x']}}\nvolumes: {v: }")
    assert find(result, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_13_restart_on_failure_is_a_bare_pod_236_318_354() -> None:
    assert len(names(service("restart: on-failure"), "Job")) == 1


def test_14_on_failure_with_a_number_is_fatal() -> None:
    assert find(service("restart: on-failure:5"), "Job")["spec"]["backoffLimit"] == 5


def test_15_long_env_files_are_refused_1855() -> None:
    result = service(
        "env_file: [{path: a.env, required: true}, {path: b.env, required: false}]",
        files={"a.env": b"A=1"},
    )
    assert environment(result) == {"A": "1"}


def test_16_env_files_are_readable_by_all_1267_308() -> None:
    result = service("env_file: a.env", files={"a.env": b"PASSWORD=x"})
    assert names(result, "ConfigMap") == []
    assert environment(result) == {"PASSWORD": "x"}


def test_17_extra_hosts_are_not_supported_2066() -> None:
    hosts = pod(service("extra_hosts: ['x.example.com:93.184.216.34']"))["hostAliases"]
    assert hosts == [{"ip": "93.184.216.34", "hostnames": ["x.example.com"]}]


def test_18_aliases_do_not_resolve_1134_859_1511() -> None:
    result = convert(
        """
        services:
          web: {image: a, links: ['db:database']}
          db: {image: b, networks: {default: {aliases: [sql]}}, hostname: primary}
        """
    )
    assert {"database", "sql", "primary"} <= set(names(result, "Service"))


def test_19_network_policies_nobody_asked_for_1616_474() -> None:
    text = "services: {a: {image: a, networks: [n]}, b: {image: b, networks: [n]}}\nnetworks: {n: }"
    assert names(convert(text), "NetworkPolicy") == []
    assert names(convert(text, network_isolation=True), "NetworkPolicy") == []


def test_20_upper_case_and_underscores_are_refused_1702_1519() -> None:
    result = convert("services: {My_App: {image: a, ports: ['80']}}")
    assert names(result, "Service") == ["my-app"]
    assert result.host_aliases == (HostAlias("My_App", "my-app"),)


def test_21_options_of_tmpfs_break_the_pod_807_436() -> None:
    result = service("tmpfs: ['/run:size=10m,mode=1777,uid=1000']")
    assert pod(result)["volumes"] == [
        {"name": "tmpfs-0", "emptyDir": {"medium": "Memory", "sizeLimit": "10Mi"}}
    ]
    assert set(codes(result)) == {"CMP415"}


def test_22_host_ports_1691_1545() -> None:
    result = service("ports: [{target: 80, published: 80, mode: host}]")
    assert all("hostPort" not in port for port in container(result)["ports"])
    assert codes(result) == ["CMP232"]


def test_23_port_and_target_port_60_1131_1757() -> None:
    (port,) = find(service("ports: ['8080:80']"), "Service")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, 80)


def test_24_tcp_and_udp_on_one_port_1514() -> None:
    ports = find(service("ports: ['53:53', '53:53/udp', '53:53']"), "Service")["spec"]["ports"]
    assert [(p["port"], p["protocol"]) for p in ports] == [(53, "TCP"), (53, "UDP")]
    assert len({p["name"] for p in ports}) == 2


def test_25_built_images_do_not_reach_the_cluster_97_969_1105() -> None:
    result = service("build: .")
    assert errors(result) == ["CMP202"]
    assert "Build and push the image" in str(result.diagnostics[0])


def test_26_unsupported_keys_vanish_456_441_442_443_365() -> None:
    result = service(
        "ulimits: {nofile: 5}\nlogging: {driver: x}\nblkio_config: {weight: 5}\nfoo: 1"
    )
    assert [(d.line, d.code) for d in result.diagnostics] == [
        (4, "CMP401"), (5, "CMP408"), (6, "CMP402"), (7, "CMP002"),
    ]  # fmt: skip


def test_27_numbers_and_paths_1431_1157_1391() -> None:
    files = {"sub/base.yml": b"services: {b: {image: a, env_file: x.env}}", "sub/x.env": b"X=1"}
    result = service("extends: {file: sub/base.yml, service: b}\nenvironment: {N: 8080, T: true}",
                     files=files)  # fmt: skip
    assert environment(result) == {"X": "1", "N": "8080", "T": "true"}
