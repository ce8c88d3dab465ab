"""Kinds of workloads, probes, waits, names, ports and the other keys of a service."""

from __future__ import annotations

import pytest

from agent.compose import HostAlias, PortSource, Severity
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

CHECK = "healthcheck: {{test: {0}}}"


@pytest.mark.parametrize(
    ("test", "command"),
    [
        ("curl -f http://x || exit 1", ["/bin/sh", "-c", "curl -f http://x || exit 1"]),
        ("[CMD-SHELL, 'a && b']", ["/bin/sh", "-c", "a && b"]),
        # As Docker does it: the shell takes the first word as its script.
        ("[CMD-SHELL, pg_isready, -d, db]", ["/bin/sh", "-c", "pg_isready", "-d", "db"]),
        ("[CMD, pg_isready, -U, 'app']", ["pg_isready", "-U", "app"]),
        ("'echo $$HOME'", ["/bin/sh", "-c", "echo $HOME"]),
    ],
)
def test_the_command_of_a_health_check(test: str, command: list[str]) -> None:
    found = container(service(CHECK.format(test)))
    assert found["readinessProbe"]["exec"]["command"] == command
    assert found["startupProbe"]["exec"]["command"] == command
    assert "livenessProbe" not in found


def test_timings_of_the_probes() -> None:
    found = container(
        service(
            "healthcheck: {test: x, interval: 1m30s, timeout: 1500ms, retries: 7, "
            "start_period: 2h, start_interval: 2s}"
        )
    )
    assert found["readinessProbe"]["periodSeconds"] == 90
    assert found["readinessProbe"]["timeoutSeconds"] == 2
    assert found["readinessProbe"]["failureThreshold"] == 7
    assert found["startupProbe"]["periodSeconds"] == 2
    assert found["startupProbe"]["failureThreshold"] * 2 >= 2 * 3600 + 7 * 90


def test_a_slow_start_is_not_killed_as_docker_would_not() -> None:
    startup = container(service(CHECK.format("x")))["startupProbe"]
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 3600


@pytest.mark.parametrize(
    "check", ["{disable: true}", "{test: [NONE]}", "{test: NONE_BUT_DISABLED, disable: true}"]
)
def test_a_disabled_check_has_no_probes(check: str) -> None:
    assert "readinessProbe" not in container(service(f"healthcheck: {check}"))


def test_a_check_without_a_test_is_a_warning_not_a_crash() -> None:
    assert codes(service("healthcheck: {interval: 5s}")) == ["CMP241"]


@pytest.mark.parametrize("test", ["[curl, x]", "[CMD]", "[CMD-SHELL]"])
def test_a_check_that_cannot_run_is_an_error(test: str) -> None:
    assert errors(service(CHECK.format(test))) == ["CMP240"]


def test_liveness_only_when_asked() -> None:
    result = service(CHECK.format("x") + "\nx-skerry: {liveness: true}")
    assert "livenessProbe" in container(result)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("", "Deployment"),
        ("restart: always", "Deployment"),
        ("restart: unless-stopped", "Deployment"),
        ("restart: 'no'", "Job"),
        ("restart: no", "Job"),
        ("restart: on-failure", "Job"),
        ("restart: on-failure:3", "Job"),
        ("restart: 'no'\nports: ['80']", "Deployment"),
        ("restart: on-failure\nhealthcheck: {test: x}", "Deployment"),
        ("deploy: {restart_policy: {condition: none}}", "Job"),
        ("restart: always\ndeploy: {restart_policy: {condition: on-failure}}", "Job"),
        ("deploy: {mode: replicated-job}", "Job"),
        ("deploy: {mode: global}", "Deployment"),
    ],
)
def test_kind_of_workload(line: str, kind: str) -> None:
    assert accepted(service(line)).services[0].workload == kind


@pytest.mark.parametrize(
    ("line", "policy", "limit"),
    [
        ("restart: 'no'", "Never", 0),
        ("restart: on-failure:3", "OnFailure", 3),
        ("restart: on-failure", "OnFailure", 6),
        ("deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}", "OnFailure", 2),
    ],
)
def test_how_often_a_job_is_tried(line: str, policy: str, limit: int) -> None:
    spec = find(service(line), "Job")["spec"]
    assert (spec["template"]["spec"]["restartPolicy"], spec["backoffLimit"]) == (policy, limit)


def test_a_completed_dependency_is_a_job_whatever_it_says() -> None:
    result = convert(
        """
        services:
          web: {image: a, depends_on: {init: {condition: service_completed_successfully}}}
          init: {image: b, restart: always}
        """
    )
    assert codes(result) == ["CMP205"]
    assert len(names(result, "Job")) == 1
    assert "initContainers" not in pod(result)


def test_chains_of_jobs_take_a_wave_each() -> None:
    done = "condition: service_completed_successfully"
    result = convert(
        f"""
        services:
          c: {{image: a, depends_on: {{b: {{{done}}}}}}}
          b: {{image: a, depends_on: {{a: {{{done}}}}}}}
          a: {{image: a}}
        """
    )
    assert [w.name for w in result.waves] == [
        "network",
        "workloads-1",
        "workloads-2",
        "workloads-3",
    ]


def test_waits_for_healthy_and_started_and_headless() -> None:
    result = convert(
        """
        services:
          web:
            image: a
            depends_on:
              db: {condition: service_healthy}
              cache: {condition: service_started}
              worker: {condition: service_started}
          db: {image: postgres, healthcheck: {test: x}}
          cache: {image: redis}
          worker: {image: w}
        """
    )
    (wait,) = pod(result)["initContainers"]
    assert wait["command"][4:] == ["started cache 6379", "healthy db 5432", "started worker"]
    assert wait["securityContext"]["runAsNonRoot"] is True


def test_healthy_without_a_health_check_waits_for_the_port() -> None:
    result = convert(
        "services: {web: {image: a, depends_on: {db: {condition: service_healthy}}}, db: {image: redis}}"
    )
    assert codes(result) == ["CMP251"]


@pytest.mark.parametrize(
    ("depends_on", "code"),
    [
        ("[nobody]", "CMP141"),
        ("[web]", "CMP142"),
        ("[late]", "CMP143"),
        ("{nobody: {condition: service_started, required: false}}", None),
        ("{late: {condition: service_started, required: false}}", None),
    ],
)
def test_absent_dependencies(depends_on: str, code: str | None) -> None:
    result = convert(
        f"services: {{web: {{image: a, depends_on: {depends_on}}}, late: {{image: b, profiles: [x]}}}}"
    )
    assert errors(result) == ([code] if code else [])


def test_a_circle_names_every_edge_with_its_line() -> None:
    result = convert(
        """
        services:
          a: {image: a, depends_on: [b]}
          b: {image: a, links: [c]}
          c: {image: a, depends_on: {a: {condition: service_healthy}}}
        """
    )
    (found,) = [d for d in result.diagnostics if d.code == "CMP142"]
    assert "a → b (line 3), b → c (line 4, links), c → a (line 5)" in found.message


@pytest.mark.parametrize(
    ("context", "running"),
    [
        ({}, ["web"]),
        ({"profiles": ("debug",)}, ["web", "tool"]),
        ({"profiles": ("*",)}, ["web", "tool", "other"]),
        ({"variables": {"COMPOSE_PROFILES": "x, debug"}}, ["web", "tool"]),
        ({"files": {".env": b"COMPOSE_PROFILES=other"}}, ["web", "other"]),
    ],
)
def test_profiles(context: dict, running: list[str]) -> None:
    result = convert(
        """
        services:
          web: {image: a}
          tool: {image: b, profiles: [debug, y]}
          other: {image: c, profiles: [other]}
        """,
        **context,
    )
    assert [s.name for s in result.services] == running


def test_no_active_service_is_an_error() -> None:
    assert errors(service("profiles: [x]")) == ["CMP005"]


def test_names_kubernetes_does_not_take_are_kept_as_host_names() -> None:
    result = convert(
        "services: {my_db: {image: postgres}, App: {image: a}, 1st: {image: b, expose: [80]}}"
    )
    assert names(result, "Service") == ["my-db", "app", "s-1st"]
    assert result.host_aliases == (HostAlias("my_db", "my-db"), HostAlias("1st", "s-1st"))
    (prepare,) = pod(result, "app")["initContainers"]
    assert prepare["command"][4:] == ["name my-db my_db", "name s-1st 1st"]
    assert container(result, "app")["volumeMounts"] == [
        {"name": "skerry-hosts", "mountPath": "/etc/hosts", "subPath": "hosts", "readOnly": True}
    ]


def test_names_that_become_one_are_an_error_naming_both() -> None:
    result = convert("services:\n  my_db: {image: a}\n  my-db: {image: a}")
    (found,) = [d for d in result.diagnostics if d.severity is Severity.ERROR]
    assert found.code == "CMP130"
    assert '"my_db"' in found.message
    assert '"my-db"' in found.message


def test_long_names_stay_unique() -> None:
    result = convert(f"services: {{{'a' * 80}-one: {{image: a}}, {'a' * 80}-two: {{image: a}}}}")
    assert [len(name) for name in names(result, "Service")] == [63, 63]
    assert len(set(names(result, "Service"))) == 2


def test_other_names_of_a_service_resolve() -> None:
    result = convert(
        """
        services:
          web: {image: a, links: ['db:database'], networks: {n: {aliases: [www, web]}}}
          db: {image: postgres, container_name: shop-db, hostname: primary, networks: [n]}
        networks: {n: }
        """
    )
    assert names(result, "Service") == ["web", "db", "www", "database", "shop-db", "primary"]
    selector = find(result, "Service", "database")["spec"]["selector"]
    labels = find(result, "Deployment", "db")["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    assert pod(result, "db")["hostname"] == "primary"
    assert container(result, "db")["name"] == "shop-db"


def test_an_alias_of_two_services_shares_the_traffic() -> None:
    result = convert(
        """
        services:
          a: {image: a, networks: {default: {aliases: [both]}}}
          b: {image: a, networks: {default: {aliases: [both]}}}
        """
    )
    selector = find(result, "Service", "both")["spec"]["selector"]
    for name in "ab":
        labels = find(result, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert selector.items() <= labels.items()


def test_a_name_that_is_taken_stays_with_its_service() -> None:
    result = convert("services: {web: {image: a, container_name: db}, db: {image: b}}")
    assert codes(result) == ["CMP132"]
    assert names(result, "Service") == ["web", "db"]


def test_the_service_port_is_the_container_port() -> None:
    spec = find(service("ports: ['8080:80', '5353:53/udp', '53:53']"), "Service")["spec"]
    assert [(p["name"], p["port"], p["protocol"]) for p in spec["ports"]] == [
        ("p-80", 80, "TCP"),
        ("p-53-udp", 53, "UDP"),
        ("p-53", 53, "TCP"),
    ]
    assert spec["type"] == "ClusterIP"


def test_a_service_without_ports_is_headless() -> None:
    spec = find(service(""), "Service")["spec"]
    assert spec["clusterIP"] == "None"
    assert "ports" not in spec


@pytest.mark.parametrize(
    ("line", "port", "source"),
    [
        ("expose: [3000]", 3000, PortSource.EXPOSE),
        ("x-skerry: {ports: [7000]}", 7000, PortSource.EXTENSION),
        ("healthcheck: {test: 'curl http://localhost:4000/x'}", 4000, PortSource.HEALTHCHECK),
        ("environment: {PORT: 9999}", 9999, PortSource.ENVIRONMENT),
    ],
)
def test_where_ports_are_found(line: str, port: int, source: PortSource) -> None:
    (fact,) = accepted(service(line)).services[0].ports
    assert (fact.port, fact.source) == (port, source)


def test_peers_tell_the_ports_of_a_service() -> None:
    result = convert(
        """
        services:
          web: {image: a, environment: ['A=http://api:8000/x', 'B=not-api:1234', 'C=api:9']}
          api: {image: b}
          db: {image: c}
          w: {image: a, command: 'wait db:7777'}
        """
    )
    ports = {s.name: [p.port for p in s.ports] for s in result.services}
    assert ports == {"web": [], "api": [8000], "db": [7777], "w": []}


@pytest.mark.parametrize(
    ("services", "public"),
    [
        ("{db: {image: postgres}, web: {image: a, depends_on: [db]}}", "web"),
        ("{api: {image: a}, web: {image: b, depends_on: [api]}}", "web"),
        ("{redis: {image: redis}}", None),
        ("{couch: {image: couchdb}}", "couch"),
        ("{app-worker: {image: a}, app: {image: a}}", "app"),
        ("{app-worker: {image: a}}", "app-worker"),
        ("{setup: {image: a}, migrate: {image: b, restart: 'no'}, ui: {image: c}}", "ui"),
        ("{a: {image: a}, b: {image: b, x-skerry: {public: true}}}", "b"),
        ("{a: {image: a, x-skerry: {public: false}}, b: {image: b}}", "b"),
    ],
)
def test_the_public_service(services: str, public: str | None) -> None:
    guess = accepted(convert(f"services: {services}")).public
    assert (guess and guess.service) == public


def test_entrypoint_and_command() -> None:
    both = container(service("entrypoint: /e 'x y'\ncommand: [a, 80]"))
    assert (both["command"], both["args"]) == (["/e", "x y"], ["a", "80"])
    only = container(service("entrypoint: [/e]"))
    assert (only["command"], "args" in only) == (["/e"], False)
    assert errors(service("entrypoint: []")) == ["CMP222"]
    cleared = container(service("entrypoint: ''\ncommand: [a]"))
    assert (cleared["command"], "args" in cleared) == (["a"], False)


def test_shell_operators_without_a_shell_are_reported() -> None:
    assert codes(service("command: a && b")) == ["CMP220"]
    assert codes(service("command: sh -c 'a && b'")) == []
    assert errors(service("command: a 'b")) == ["CMP221"]


def test_resources() -> None:
    found = container(
        service(
            "deploy: {resources: {limits: {cpus: 0.5, memory: 512m}, reservations: {memory: 64m}}}"
        )
    )["resources"]
    assert found == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "500m", "memory": "512Mi"},
    }
    assert container(service("cpus: 2\nmem_limit: 1g"))["resources"]["limits"] == {
        "cpu": "2", "memory": "1Gi",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "cpus: 1\ndeploy: {resources: {limits: {cpus: 2}}}",
        "mem_limit: 64m\nmem_reservation: 128m",
        "mem_limit: 1m",
        "deploy: {resources: {limits: {cpus: 1}, reservations: {cpus: 2}}}",
    ],
)
def test_resources_that_contradict(line: str) -> None:
    assert errors(service(line)) == ["CMP260"]


@pytest.mark.parametrize(
    ("line", "replicas"),
    [("", 1), ("scale: 3", 3), ("deploy: {replicas: 2}", 2), ("deploy: {replicas: '${R:-0}'}", 0)],
)
def test_replicas(line: str, replicas: int) -> None:
    assert find(service(line), "Deployment")["spec"]["replicas"] == replicas


@pytest.mark.parametrize(
    "line",
    ["scale: 2\ndeploy: {replicas: 3}", "scale: 2\ncontainer_name: x", "scale: 1000", "scale: -1"],
)
def test_replicas_that_cannot_be(line: str) -> None:
    assert errors(service(line)) == ["CMP203"]


@pytest.mark.parametrize(
    ("config", "strategy"),
    [
        ("{order: start-first, parallelism: 2}", {"maxSurge": 2, "maxUnavailable": 0}),
        ("{parallelism: 1}", {"maxSurge": 0, "maxUnavailable": 1}),
    ],
)
def test_updates(config: str, strategy: dict[str, int]) -> None:
    spec = find(service(f"deploy: {{update_config: {config}}}"), "Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == strategy


def test_user_names_and_groups() -> None:
    assert pod(service("user: root"))["securityContext"]["runAsUser"] == 0
    security = pod(service("user: '1000:0'\ngroup_add: ['44', video]"))["securityContext"]
    assert (security["runAsGroup"], security["supplementalGroups"]) == (0, [44])


def test_volumes_belong_to_the_user() -> None:
    result = convert("services: {web: {image: a, user: '7:8', volumes: ['d:/d']}}\nvolumes: {d: }")
    assert pod(result)["securityContext"]["fsGroup"] == 8


def test_small_keys_of_the_container() -> None:
    result = service(
        """
        working_dir: /w
        tty: true
        stdin_open: true
        read_only: true
        security_opt: [no-new-privileges]
        stop_grace_period: 10m
        pull_policy: always
        platform: linux/arm64
        extra_hosts: ["a=1.2.3.4", "b:1.2.3.4", "c:[2606:4700::1]"]
        dns: 1.1.1.1
        dns_search: [example.com]
        dns_opt: ["ndots:2", rotate]
        sysctls: {net.ipv4.tcp_syncookies: 1}
        """
    )
    found, spec = container(result), pod(result)
    assert (found["workingDir"], found["tty"], found["stdin"]) == ("/w", True, True)
    assert found["securityContext"] == {
        "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
    }  # fmt: skip
    assert found["imagePullPolicy"] == "Always"
    assert spec["terminationGracePeriodSeconds"] == 300
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert spec["hostAliases"] == [
        {"ip": "1.2.3.4", "hostnames": ["a", "b"]},
        {"ip": "2606:4700::1", "hostnames": ["c"]},
    ]
    assert spec["dnsConfig"] == {
        "nameservers": ["1.1.1.1"],
        "searches": ["example.com"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
    }
    assert spec["securityContext"]["sysctls"] == [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]
    assert set(codes(result)) == {"CMP404", "CMP416"}


def test_more_ports_than_one_service_may_have() -> None:
    assert errors(service("ports: ['10000-20000:10000-20000/udp']")) == ["CMP231"]


def test_a_null_variable_comes_from_the_project_or_stays_unset() -> None:
    result = service("environment: {A: , B: }", variables={"A": "1"})
    assert list(find(result, "Secret")["data"]) == ["A"]
    assert codes(result) == ["CMP123"]


@pytest.mark.parametrize("name", ["'a b'", "'..x'", "'a=b'", "ä"])
def test_names_of_variables_kubernetes_refuses(name: str) -> None:
    assert errors(service(f"environment: {{{name}: 1}}")) == ["CMP215"]


def test_an_environment_that_is_too_large() -> None:
    assert errors(service("environment: {A: $B}", variables={"B": "x" * 1_100_000})) == ["CMP214"]


def test_networks_that_are_not_defined() -> None:
    assert errors(service("networks: [n]")) == ["CMP140"]


def test_findings_of_networks_are_said() -> None:
    result = convert(
        """
        services: {a: {image: a, networks: [x, y]}, b: {image: b, networks: [y, z]}}
        networks: {x: {external: true}, y: {internal: true}, z: }
        """
    )
    assert sorted(codes(result)) == ["CMP320", "CMP322", "CMP323"]


@pytest.mark.parametrize(
    ("ports", "told"),
    [("8080:80", []), ("2222:22", ["CMP230"]), ("127.0.0.1:2222:22", []), ("53:53/udp", ["CMP230"]), ("22", [])],
)  # fmt: skip
def test_published_ports_that_are_not_http_are_told(ports: str, told: list[str]) -> None:
    assert codes(service(f"ports: ['{ports}']")) == told


@pytest.mark.parametrize(
    ("body", "told"),
    [("image: 'postgres:17'", ["CMP345"]), ("image: 'postgres:17'\nvolumes: [/data]", []), ("image: redis", [])],
)  # fmt: skip
def test_a_database_without_a_volume_is_told(body: str, told: list[str]) -> None:
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    assert codes(convert(f"services:\n  db:\n{lines}")) == told


def test_any_answering_port_of_a_dependency_will_do() -> None:
    result = convert(
        """
        services:
          web: {image: a, environment: {X: "api:9000"}, depends_on: [api]}
          api: {image: b, ports: ["80", "5000/udp"]}
        """
    )
    assert pod(result)["initContainers"][0]["command"][-1] == "started api 80,9000"


@pytest.mark.parametrize(
    ("body", "headless"),
    [
        ("image: ghost", True),
        ("image: a\n    environment: {PORT: 8080}", True),
        ("image: postgres\n    volumes: [/d]", False),
        ("image: ghost\n    expose: [2368]", False),
        ("image: a\n    ports: ['80']\n    deploy: {endpoint_mode: dnsrr}", True),
    ],
)
def test_a_guessed_port_alone_leaves_the_service_headless(body: str, headless: bool) -> None:
    result = convert(f"services:\n  web:\n    {body}\n")
    spec = find(result, "Service")["spec"]
    assert (spec.get("clusterIP") == "None") is headless
    assert result.services[0].headless is headless
    assert spec["ports"]


@pytest.mark.parametrize(
    "line",
    [
        f"user: '{'9' * 5000}'",
        f"user: '{'9' * 5000}:{'9' * 5000}'",
        f"group_add: ['{'9' * 5000}']",
        f"labels: {{traefik.http.services.x.loadbalancer.server.port: '{'9' * 5000}'}}",
        f"restart: on-failure:{'9' * 5000}",
        f"scale: {'9' * 5000}",
        f"healthcheck: {{test: x, retries: {'9' * 5000}}}",
        f"ports: ['{'9' * 5000}']",
        f"cpus: {'9' * 5000}",
        f"mem_limit: {'9' * 5000}g",
        f"stop_grace_period: {'9' * 5000}s",
        f"environment: {{PORT: '{'9' * 5000}', A: {'9' * 5000}}}",
        f"x-skerry: {{public: {{port: {'9' * 5000}}}}}",
    ],
)
def test_numbers_beyond_all_bounds(line: str) -> None:
    assert isinstance(codes(service(line)), list)


def test_user_numbers_have_a_limit() -> None:
    assert errors(service("user: '4294967295'")) == ["CMP361"]


def test_large_timings_stay_within_what_kubernetes_takes() -> None:
    result = service(
        "healthcheck: {test: x, interval: 9y, retries: 999999999999, start_period: 400w, "
        "start_interval: 1s}\ndeploy: {update_config: {delay: 3w}}".replace("9y", "450w")
    )
    spec = find(result, "Deployment")["spec"]
    numbers = [
        *container(result)["startupProbe"].values(),
        *container(result)["readinessProbe"].values(),
    ]
    assert all(n < 2**31 for n in (*numbers, spec["progressDeadlineSeconds"]) if isinstance(n, int))
    assert spec["minReadySeconds"] < spec["progressDeadlineSeconds"]


def test_host_names_kubernetes_refuses_are_left_out_and_told() -> None:
    result = service(
        "extra_hosts: {my_host: 1.2.3.4, UP.example.com: 1.2.3.4}\ndns_search: [a_b, c.d]"
    )
    assert pod(result)["hostAliases"] == [{"ip": "1.2.3.4", "hostnames": ["up.example.com"]}]
    assert pod(result)["dnsConfig"]["searches"] == ["c.d"]
    assert codes(result) == ["CMP134", "CMP134"]


@pytest.mark.parametrize("size", ["0", "0Gi", "0.0"])
def test_a_volume_has_a_size(size: str) -> None:
    text = f"services: {{web: {{image: a}}}}\nvolumes: {{v: {{x-skerry: {{size: {size}}}}}}}"
    assert "CMP501" in errors(convert(text))


def test_an_application_protocol_kubernetes_refuses_is_told() -> None:
    result = service(
        "ports: [{target: 80, app_protocol: 'My Proto!'}, {target: 81, app_protocol: h2c}]"
    )
    ports = find(result, "Service")["spec"]["ports"]
    assert [port.get("appProtocol") for port in ports] == [None, "h2c"]
    assert codes(result) == ["CMP233"]


@pytest.mark.parametrize("mode", ["global", "global-job"])
def test_a_global_service_runs_once_and_that_is_said(mode: str) -> None:
    result = accepted(service(f"deploy: {{mode: {mode}}}"))
    assert [(d.code, d.path) for d in result.diagnostics] == [
        ("CMP409", "services.web.deploy.mode")
    ]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("container_name: my_worker", "services.worker.container_name"),
        ("hostname: my_worker", "services.worker.hostname"),
        ("networks: {default: {aliases: [my_worker]}}", "services.worker.networks"),
    ],
)
@pytest.mark.parametrize(("command", "severity"), [("ping my_worker", "warning"), ("true", "info")])
def test_a_name_that_cannot_resolve_is_said_louder_where_it_is_used(
    key: str, path: str, command: str, severity: str
) -> None:
    result = convert(
        f"services: {{worker: {{image: a, {key}}}, web: {{image: b, command: {command}}}}}"
    )
    said = [d for d in accepted(result).diagnostics if d.code == "CMP133"]
    assert [(d.path, d.severity) for d in said] == [(path, severity)]
    assert result.host_aliases == ()
