"""x-skerry is validated strictly, and labels of other tools are hints."""

from __future__ import annotations

import pytest

from agent.compose import PortSource, PublicGuess, WaitFor, WorkloadKind
from tests.unit.compose.helpers import accepted, codes, convert, errors, find, service


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("{public: maybe}", "CMP004"),
        ("{public: [a]}", "CMP003"),
        ("{public: {port: 0}}", "CMP501"),
        ("{public: {port: x}}", "CMP004"),
        ("{public: {host: 'a b'}}", "CMP501"),
        ("{public: {hots: a}}", "CMP002"),
        ("{cron: '61 minutes'}", "CMP501"),
        ("{cron: '* * * *'}", "CMP501"),
        ("{cron: '@reboot'}", "CMP501"),
        ("{cron: '60 * * * *'}", "CMP501"),
        ("{cron: '* * 0 * *'}", "CMP501"),
        ("{cron: '* * * * 7'}", "CMP501"),
        ("{cron: '*/0 * * * *'}", "CMP501"),
        ("{cron: '5-1 * * * *'}", "CMP501"),
        ("{cron: 'a b c d e'}", "CMP501"),
        ("{liveness: perhaps}", "CMP004"),
        ("{ports: [abc]}", "CMP231"),
        ("{sleep: 5s}", "CMP501"),
        ("{sleep: 60d}", "CMP501"),
        ("{sleep: often}", "CMP004"),
        ("{use: shared-mysql}", "CMP501"),
        ("{use: shared-postgres}", "CMP503"),
        ("{use: shared-s3}", "CMP503"),
        ("text", "CMP003"),
    ],
)
def test_wrong_settings_of_a_service(settings: str, code: str) -> None:
    assert errors(service(f"x-skerry: {settings}")) == [code]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("{size: big}", "CMP501"),
        ("{size: 0}", "CMP501"),
        ("{storage_class: 'A B'}", "CMP501"),
        ("{sise: 1Gi}", "CMP002"),
    ],
)
def test_wrong_settings_of_a_volume(settings: str, code: str) -> None:
    text = f"services: {{web: {{image: a}}}}\nvolumes: {{v: {{x-skerry: {settings}}}}}"
    assert errors(convert(text)) == [code]


def test_unknown_settings_of_the_app() -> None:
    assert errors(convert("services: {web: {image: a}}\nx-skerry: {a: 1}")) == ["CMP002"]


def test_public_with_port_and_host() -> None:
    result = service("x-skerry: {public: {port: 8080, host: www.example.com}}")
    assert accepted(result).public == PublicGuess("web", 8080, "x-skerry.public", "www.example.com")


@pytest.mark.parametrize(
    "schedule", ["0 3 * * *", "*/5 1-3,7 * JAN mon-fri", "@daily", "0  3 * * * "]
)
def test_a_schedule_makes_a_cron_job(schedule: str) -> None:
    result = service(f"x-skerry: {{cron: '{schedule}'}}")
    spec = find(result, "CronJob")["spec"]
    assert spec["schedule"] == " ".join(schedule.split())
    assert spec["concurrencyPolicy"] == "Forbid"
    assert result.services[0].workload is WorkloadKind.CRON_JOB
    assert [wave.wait for wave in result.waves] == [WaitFor.NONE]


def test_nothing_can_wait_for_a_schedule() -> None:
    result = convert(
        "services: {web: {image: a, depends_on: [c]}, c: {image: b, x-skerry: {cron: '@daily'}}}"
    )
    assert errors(result) == ["CMP502"]


def test_labels_for_traefik_are_hints() -> None:
    result = convert(
        """
        services:
          first: {image: a}
          second:
            image: b
            labels:
              - traefik.enable=true
              - traefik.http.routers.x.rule=Host(`shop.example.com`) && PathPrefix(`/`)
              - traefik.http.services.x.loadbalancer.server.port=3456
        """
    )
    assert accepted(result).public == PublicGuess(
        "second", 3456, "its labels for other tools", "shop.example.com"
    )
    (port,) = result.services[1].ports
    assert (port.port, port.source) == (3456, PortSource.LABEL)
    assert codes(result) == ["CMP407"]


def test_a_service_traefik_shall_not_show_is_not_public() -> None:
    result = convert("services: {a: {image: a, labels: {traefik.enable: false}}, b: {image: b}}")
    public = accepted(result).public
    assert public is not None
    assert public.service == "b"


@pytest.mark.parametrize(
    "label",
    [
        "kompose.volume.type: hostPath",
        "kompose.service.type: nodeport",
        "kompose.serviceaccount-name: admin",
        "kompose.controller.port.expose: 'true'",
        "kompose.service.nodeport.port: '30000'",
    ],
)
def test_labels_of_kompose_that_reach_the_node_are_refused(label: str) -> None:
    assert errors(service(f"labels: {{{label}}}")) == ["CMP324"]


def test_labels_of_volumes() -> None:
    text = "services: {{web: {{image: a}}}}\nvolumes: {{v: {{labels: {{{0}: 1g}}}}}}"
    assert codes(convert(text.format("kompose.volume.size"))) == []
    assert codes(convert(text.format("other"))) == ["CMP407"]


def test_labels_of_kompose_that_are_taken() -> None:
    result = convert(
        """
        services:
          a: {image: a, labels: {kompose.cronjob.schedule: "*/5 * * * *"}}
          b: {image: b, labels: {kompose.service.expose: b.example.com}}
        """
    )
    assert find(result, "CronJob")["spec"]["schedule"] == "*/5 * * * *"
    assert result.public is not None
    assert (result.public.service, result.public.host) == ("b", "b.example.com")
    assert set(codes(result)) == {"CMP407"}


def test_labels_of_kompose_without_an_effect_say_what_to_use() -> None:
    result = service("labels: {kompose.service.group: x, kompose.hpa.cpu: '50', kompose.new: ''}")
    hints = {d.path: d.hint for d in result.diagnostics if d.code == "CMP325"}
    assert hints == {
        "services.web.labels.kompose.service.group": "Use network_mode: service:NAME for one pod.",
        "services.web.labels.kompose.hpa.cpu": "Use deploy.replicas.",
        "services.web.labels.kompose.new": "",
    }
