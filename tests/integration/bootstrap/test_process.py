"""The agent's own process with an add-on of the operator's: killed half-way, started again, seen by the CLI."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import BIN, Platform, Process
from tests.integration.bootstrap.conftest import ChartRepository, World, polled
from tests.integration.bootstrap.test_charts import CONFIG_MAP, DEPLOYMENT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

ADD_ON = """
name = "tiny"
kind = "helm"
version = "1.0.0"

[helm]
release = "tiny"
chart = "tiny"
repository = "{repository}"
target_namespace = "{target}"
timeout_seconds = 60
values = "greeting: hello"

[[ready]]
api_version = "apps/v1"
kind = "Deployment"
namespace = "{target}"
name = "tiny"
"""


@pytest.fixture
def platform(
    tmp_path: Path, kubeconfig: str, world: World, repository: ChartRepository
) -> Iterator[Platform]:
    """A control plane and an agent whose only enabled add-on is the tiny chart."""
    repository.publish("tiny", "1.0.0", {"deployment.yaml": DEPLOYMENT, "config.yaml": CONFIG_MAP})
    folder = tmp_path / "add-ons" / "tiny"
    folder.mkdir(parents=True)
    (folder / "addon.toml").write_text(
        ADD_ON.format(repository=repository.url, target=world.targets[0])
    )
    created = Platform(tmp_path, kubeconfig)
    with created.running():
        created.agent.kill()
        created.agent = Process(
            [
                *(str(BIN / "skerry-agent"), "run", "--kubeconfig", kubeconfig),
                *("--state-dir", str(tmp_path / "agent")),
            ],
            {
                "SKERRY_AGENT_ADD_ONS_DIR": str(folder.parent),
                "SKERRY_AGENT_ADD_ONS_DISABLED": "garage,cloudnative-pg",
                "SKERRY_AGENT_NAMESPACE": world.namespace,
                "SKERRY_AGENT_METRICS_ADDRESS": "",
                "SKERRY_AGENT_NETWORK_POLICY_PROBE": "false",
            },
            tmp_path / "agent.log",
        )
        yield created


async def until_state(platform: Platform, state: str, seconds: float = 120) -> dict[str, object]:
    last: dict[str, object] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for _ in polled(0.5):
                listed = await asyncio.to_thread(platform.json, "cluster", "addons", "home")
                found = {add_on["name"].rpartition("/")[2]: add_on for add_on in listed["addOns"]}
                last = found.get("tiny", {})
                if last.get("state") == f"ADD_ON_STATE_{state}":
                    return last
    pytest.fail(f"tiny is not {state}: {last}\n{platform.agent.output[-3000:]}")


async def test_an_agent_killed_half_way_makes_one_release(platform, world, repository):
    repository.start()
    platform.agent.start()
    async for _ in polled(0.05):
        if await world.kube.list("helm.cattle.io/v1", "HelmChart", world.namespace):
            break
    platform.agent.kill()
    platform.agent.start()
    await until_state(platform, "READY")
    releases = await world.kube.list(
        "v1", "Secret", world.targets[0], field_selector="type=helm.sh/release.v1"
    )
    assert [r["metadata"]["name"] for r in releases] == ["sh.helm.release.v1.tiny.v1"]
    assert platform.agent.stop() == 0


async def test_the_cli_shows_the_failure_and_the_healing(platform, world, repository):
    platform.agent.start()
    failed = await until_state(platform, "FAILED")
    assert repository.url in str(failed["message"])
    assert "connection refused" in str(failed["logTail"])
    assert failed["retryTime"]
    repository.start()
    ready = await until_state(platform, "READY")
    assert int(str(ready["attempts"])) >= 2
