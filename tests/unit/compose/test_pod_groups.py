"""Services that join another's network, processes or memory run in its pod."""

from __future__ import annotations

import pytest

from agent.compose import Plan
from tests.unit.compose.helpers import accepted, codes, convert, errors, find, names, pod

VPN = """
    services:
      vpn:
        image: gluetun
        ports: ["8080:8080"]
      torrent:
        image: qb
        network_mode: service:vpn
        user: 1000:1000
        environment: {A: b}
        tmpfs: /cache
        volumes: [data:/data]
    volumes: {data: }
    """


def joined(lines: str, others: str = "") -> Plan:
    """`web`, and `side` that joins it."""
    return convert(
        f"services:\n  web: {{image: a, ports: ['80']}}\n  side: {{image: b, {lines}}}\n{others}"
    )


def test_a_joined_network_is_one_pod_with_two_containers() -> None:
    result = convert(VPN)
    assert names(result, "Deployment") == ["vpn"]
    spec = pod(result, "vpn")
    assert [c["name"] for c in spec["containers"]] == ["vpn", "torrent"]
    assert spec["containers"][1]["envFrom"] == [{"secretRef": {"name": "shop-torrent-env"}}]
    assert spec["securityContext"]["fsGroup"] == 1000
    assert "runAsUser" not in spec["securityContext"]
    assert spec["containers"][1]["securityContext"] == {"runAsUser": 1000, "runAsGroup": 1000}
    assert "securityContext" not in spec["containers"][0]


def test_both_names_lead_to_the_pod() -> None:
    result = convert(VPN)
    for name in ("vpn", "torrent"):
        selector = find(result, "Service", name)["spec"]["selector"]
        assert selector["skerry.dev/service"] == "vpn"
    assert {f.name: f.workload_name for f in result.services} == {"vpn": "vpn", "torrent": "vpn"}
    assert {f.name: f.pod_of for f in result.services} == {"vpn": "", "torrent": "vpn"}


def test_the_service_with_the_ports_stays_the_public_one() -> None:
    public = accepted(convert(VPN)).public
    assert public is not None
    assert (public.service, public.port) == ("vpn", 8080)


def test_a_volume_of_one_container_makes_the_pod_stop_first() -> None:
    assert find(convert(VPN), "Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_containers_keep_their_own_memory_volumes_and_share_claims() -> None:
    result = convert(
        """
        services:
          a: {image: a, tmpfs: /x, volumes: ["d:/d"]}
          b: {image: b, tmpfs: /x, volumes: ["d:/d"], network_mode: "service:a"}
        volumes: {d: }
        """
    )
    first, second = ({m["mountPath"]: m["name"] for m in c["volumeMounts"]} for c in pod(result, "a")["containers"])  # fmt: skip
    assert first["/d"] == second["/d"]
    assert first["/x"] != second["/x"]
    assert "affinity" not in pod(result, "a")


def test_joining_processes_shares_them() -> None:
    spec = pod(joined("pid: 'service:web'"))
    assert spec["shareProcessNamespace"] is True
    assert len(spec["containers"]) == 2


def test_joining_memory_is_the_same_pod() -> None:
    spec = pod(joined("ipc: 'service:web'"))
    assert len(spec["containers"]) == 2
    assert "shareProcessNamespace" not in spec


def test_who_joins_one_that_joins_is_in_the_same_pod() -> None:
    result = joined(
        "network_mode: 'service:web'", "  more: {image: c, network_mode: 'service:side'}\n"
    )
    assert [c["name"] for c in pod(result)["containers"]] == ["web", "side", "more"]


def test_aliases_of_a_member_select_the_pod() -> None:
    result = joined("pid: 'service:web', container_name: helper")
    labels = find(result, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels["alias.skerry.dev/helper"] == "true"
    assert find(result, "Service", "helper")["spec"]["selector"].keys() <= labels.keys()


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("pid: 'service:web', ports: ['80']", "CMP304"),
        ("pid: 'service:web', restart: 'no'", "CMP304"),
        ("pid: 'service:web', x-skerry: {cron: '@daily'}", "CMP304"),
        ("network_mode: 'service:nobody'", "CMP141"),
        ("network_mode: 'service:side'", "CMP142"),
        ("network_mode: 'service:web', depends_on: {web: {condition: service_completed_successfully}}", "CMP304"),
    ],
)  # fmt: skip
def test_what_cannot_be_one_pod(lines: str, code: str) -> None:
    assert code in errors(joined(lines))


def test_ports_declared_for_the_one_who_joined_do_not_clash() -> None:
    accepted(joined("network_mode: 'service:web', expose: [80]"))


def test_two_architectures_in_one_pod_are_refused() -> None:
    result = convert(
        """
        services:
          web: {image: a, platform: linux/amd64}
          side: {image: b, pid: "service:web", platform: linux/arm64}
        """
    )
    assert errors(result) == ["CMP363"]


def test_members_do_not_wait_for_their_own_pod_but_the_pod_for_others() -> None:
    result = convert(
        """
        services:
          web: {image: a, healthcheck: {test: x}}
          side:
            image: b
            network_mode: "service:web"
            depends_on: {web: {condition: service_healthy}, db: {condition: service_healthy}}
          db: {image: redis, healthcheck: {test: x}}
        """
    )
    assert codes(result) == ["CMP304"]
    (wait,) = pod(result)["initContainers"]
    assert wait["command"][4:] == ["healthy db 6379"]


def test_a_pod_that_waits_for_who_waits_for_it_is_a_circle() -> None:
    result = convert(
        """
        services:
          web: {image: a}
          side: {image: b, network_mode: "service:web", depends_on: [db]}
          db: {image: redis, depends_on: [web]}
        """
    )
    (found,) = [d for d in result.diagnostics if d.code == "CMP142"]
    assert "web → db (line 4), db → web (line 5)" in found.message


@pytest.mark.parametrize("key", ["links", "volumes_from"])
def test_links_and_volumes_count_in_circles(key: str) -> None:
    result = convert(
        f"""
        services:
          a: {{image: a, depends_on: [b]}}
          b: {{image: b, {key}: [a]}}
        """
    )
    (found,) = [d for d in result.diagnostics if d.code == "CMP142"]
    assert f"a → b (line 3), b → a (line 4, {key})" in found.message


def test_a_circle_over_two_files_names_the_files() -> None:
    result = convert(
        "services: {a: {image: a, depends_on: [b]}, b: {image: b}}",
        "services: {b: {depends_on: [a]}}",
    )
    (found,) = [d for d in result.diagnostics if d.code == "CMP142"]
    assert "a → b (line 1 of compose.yml), b → a (line 1 of override-1.yml)" in found.message


def rolled(text: str, changed: str) -> bool:
    before, after = (
        find(convert(t), "Deployment", "web")["spec"]["template"] for t in (text, changed)
    )
    return before != after


@pytest.mark.parametrize("restart", [True, False])
def test_a_service_restarts_with_its_dependency_when_it_says_so(restart: bool) -> None:
    text = f"""
        services:
          web: {{image: a, depends_on: {{mid: {{condition: service_started, restart: {restart}}}}}}}
          mid: {{image: m, depends_on: {{db: {{condition: service_started, restart: true}}}}}}
          db: {{image: redis, environment: {{A: "1"}}}}
        """
    assert rolled(text, text.replace('A: "1"', 'A: "2"')) is restart
    assert rolled(text, text.replace("image: m", "image: n")) is restart
