"""What /healthz, /readyz and /metrics answer, over a real socket."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from skerry.agent.v1 import report_pb2

from agent.health import STUCK_SECONDS, CertificateView, Health, HealthServer, LinkView, ListenError
from agent.link import LinkCounts, LinkState, ReportBoard


@dataclass
class World:
    """What the answers are made of."""

    board: ReportBoard
    state: LinkState = LinkState.CONNECTED
    now: float = 0.0
    url: str = ""

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def world() -> Iterator[World]:
    created = World(ReportBoard())
    health = Health(
        lambda: LinkView(created.state, 0.02, ""), created.board, monotonic=lambda: created.now
    )
    with HealthServer("127.0.0.1:0", health) as server:
        created.url = f"http://127.0.0.1:{server.port}"
        yield created


def test_alive_while_the_loop_turns(world):
    status, body = world.get("/healthz")
    assert status == 200
    assert json.loads(body)["link"] == "connected"


def test_not_alive_when_the_loop_is_stuck(world):
    world.now = STUCK_SECONDS + 1
    assert world.get("/healthz")[0] == 503


def test_alive_but_not_ready_without_a_link(world):
    world.state = LinkState.WAITING
    assert world.get("/healthz")[0] == 200
    assert world.get("/readyz")[0] == 503


def test_metrics_tell_of_link_and_add_ons(world):
    world.board.put("addons/garage", report_pb2.AddOnStatus(name="garage", state="READY"))
    status, body = world.get("/metrics")
    assert status == 200
    assert "skerry_agent_link_connected 1.0" in body
    assert 'skerry_agent_add_on_state{add_on="garage",state="READY"} 1.0' in body


def test_another_path_is_not_found(world):
    assert world.get("/secrets")[0] == 404


def test_a_taken_address_is_an_error_with_the_way_out(world):
    health = Health(lambda: LinkView(LinkState.CONNECTED, 0, ""), world.board)
    address = world.url.removeprefix("http://")
    with pytest.raises(ListenError, match="--metrics-address"), HealthServer(address, health):
        pass


def test_every_metric_is_documented_with_its_labels(world: World) -> None:
    counts = LinkCounts(
        2, {("in", "bulk"): 3}, {("in", "bulk"): 4}, {"FLOW_CONTROL": 1}, {"LOST": 5}
    )
    certificate = CertificateView(datetime(2026, 1, 1, tzinfo=UTC), 1, "")
    link = LinkView(LinkState.CONNECTED, 0.1, "", certificate, counts)
    world.board.put("addons/garage", report_pb2.AddOnStatus(name="garage", state="READY"))
    real = {
        metric.name: tuple(metric.samples[0].labels)
        for metric in Health(lambda: link, world.board).collect()
    }
    page = (Path(__file__).parents[3] / "docs" / "link.md").read_text()
    documented = {
        name: tuple(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(skerry_agent_\w+)` \| (.*?) \|", page, re.MULTILINE)
    }
    assert real == documented
