"""`skerry doctor`: each check, its verdict and its fix."""

from __future__ import annotations

import json

import pytest
from skerry.platform.v1 import cluster_pb2

from tests.fakes.control_plane import FakeControlPlane
from tests.unit.skerry.cli.conftest import Cli


async def verdicts(cli: Cli) -> tuple[int, dict[str, tuple[str, str]]]:
    examined = await cli("doctor", "-o", "json")
    return examined.code, {
        check["name"]: (check["verdict"], check["fix"])
        for check in json.loads(examined.out)["checks"]
    }


@pytest.fixture(autouse=True)
def in_time(fake: FakeControlPlane, cli: Cli) -> None:
    """The tests' clock stands still: let the fake's stand beside it."""
    fake.fixed_time = 1_795_435_200.0
    fake.add_cluster("home")


async def test_all_is_well(cli: Cli) -> None:
    code, found = await verdicts(cli)
    assert code == 0
    assert list(found) == [
        "configuration",
        "connection",
        "login",
        "clock",
        "version",
        "cluster home",
    ]
    assert set(found.values()) == {("ok", "")}


async def test_nobody_is_logged_in(cli: Cli) -> None:
    cli.store.path.unlink()
    assert await verdicts(cli) == (1, {"configuration": ("failed", "skerry login SERVER")})


async def test_a_configuration_that_others_can_read(cli: Cli) -> None:
    cli.store.path.chmod(0o644)
    code, found = await verdicts(cli)
    assert code == 0
    assert found["configuration"] == ("warning", f"chmod 600 {cli.store.path}")


async def test_nobody_listens(fake: FakeControlPlane, cli: Cli) -> None:
    await fake.stop()
    code, found = await verdicts(cli)
    assert code == 1
    assert found["connection"][0] == "failed"
    assert "skerry-controlplane serve" in found["connection"][1]
    assert "login" not in found


async def test_an_unusable_address(cli: Cli) -> None:
    cli.environ["SKERRY_SERVER"] = "http://x"
    code, found = await verdicts(cli)
    assert (code, found["connection"][0]) == (1, "failed")


async def test_a_token_that_is_not_valid(fake: FakeControlPlane, cli: Cli) -> None:
    fake.token = "another"
    code, found = await verdicts(cli)
    assert code == 1
    assert found["login"] == ("failed", "skerry login SERVER with a valid token")


async def test_clocks_and_versions_apart(fake: FakeControlPlane, cli: Cli) -> None:
    fake.fixed_time = (fake.fixed_time or 0) - 60
    fake.version = "0.2.0"
    code, found = await verdicts(cli)
    assert code == 0
    assert found["clock"][0] == found["version"][0] == "warning"


@pytest.mark.parametrize(
    ("connection", "verdict", "fix"),
    [
        ("NEVER_JOINED", "warning", "skerry cluster join-token lab"),
        ("OFFLINE", "failed", "skerry-agent doctor"),
        ("UNKNOWN", "failed", "skerry-agent doctor"),
    ],
)
async def test_clusters_that_are_away(
    fake: FakeControlPlane, cli: Cli, connection: str, verdict: str, fix: str
) -> None:
    value = cluster_pb2.ConnectionState.Value(f"CONNECTION_STATE_{connection}")
    fake.add_cluster("lab", connection=value)
    _, found = await verdicts(cli)
    assert found["cluster lab"][0] == verdict
    assert fix in found["cluster lab"][1]


async def test_an_add_on_that_failed(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_ons["clusters/home"] = [
        cluster_pb2.AddOn(name="clusters/home/addOns/garage", state=cluster_pb2.ADD_ON_STATE_FAILED)
    ]
    _, found = await verdicts(cli)
    assert found["add-on garage"] == ("warning", "skerry cluster addons home shows its log")


async def test_the_table_is_for_people_and_fixes_go_to_stderr(
    fake: FakeControlPlane, cli: Cli
) -> None:
    fake.clusters.clear()
    shown = await cli("doctor")
    assert shown.out.splitlines()[0].split() == ["CHECK", "VERDICT", "MESSAGE"]
    assert shown.err == "clusters: skerry cluster create NAME\n"
