"""What `skerry-agent convert` says about a project beside its findings."""

from __future__ import annotations

from agent.convert.facts import render_facts
from tests.unit.compose.helpers import accepted, convert


def test_each_fact_has_a_line_and_no_password_is_in_one() -> None:
    result = convert(
        """
        services:
          web: {image: a, ports: ["80:80"], x-skerry: {sleep: 30m, public: {host: shop.example.com}}}
          db:
            image: postgres
            environment: {POSTGRES_PASSWORD: geheim}
            volumes: ["data:/x", "old:/y"]
            x-skerry: {sleep: false}
          quiet: {image: b}
        volumes: {data: {x-skerry: {size: 5Gi}}, old: {external: true}}
        """
    )
    assert render_facts(accepted(result)).splitlines() == [
        "web: 80/tcp (ports), sleeps after 1800 s",
        "db: 5432/tcp (image), never sleeps",
        "volume data: 5Gi, used by db",
        "volume old: must exist already, used by db",
        "public service: web:80 as shop.example.com (x-skerry.public)",
        "db: postgres is a plain Postgres; where a cluster has a shared one, x-skerry: {use: "
        "shared-postgres} takes it instead",
    ]


def test_nothing_to_say() -> None:
    assert render_facts(convert("services: [")) == ""
