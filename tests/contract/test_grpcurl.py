"""`grpcurl`, with no proto file at hand, lists, describes and calls what a control plane serves."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.controlplane.harness import PATIENCE, Plane, control_plane

BUILD = Path(__file__).parents[2] / "scripts/lib/grpcurl"
NEITHER = 3


@pytest.fixture(scope="session")
def grpcurl() -> str:
    """The binary; built once into the cache where it is not installed."""
    built = subprocess.run([str(BUILD)], check=False, capture_output=True, text=True)
    if built.returncode == NEITHER:
        pytest.skip(built.stderr.strip())
    assert built.returncode == 0, built.stderr
    return built.stdout.strip()


@dataclass
class Tool:
    """grpcurl against one server."""

    binary: str
    plane: Plane

    async def __call__(self, *arguments: str, flags: tuple[str, ...] = ()) -> tuple[int, str, str]:
        ca = self.plane.data_dir / "pki" / "ca.crt"
        process = await asyncio.create_subprocess_exec(
            *(self.binary, "-cacert", str(ca), "-connect-timeout", str(PATIENCE)),
            *(*flags, f"localhost:{self.plane.running.api_port}", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    @property
    def token(self) -> tuple[str, str]:
        return ("-H", f"authorization: Bearer {self.plane.token}")


@pytest.fixture
async def tool(grpcurl: str, tmp_path: Path) -> AsyncIterator[Tool]:
    async with control_plane(tmp_path / "data") as plane:
        yield Tool(grpcurl, plane)


@pytest.mark.timeout(600)  # the first run builds the tool
async def test_it_lists_services_and_methods(tool: Tool) -> None:
    code, out, err = await tool("list")
    assert code == 0, err
    assert "skerry.platform.v1.AppService" in out.split()
    code, out, err = await tool("list", "skerry.platform.v1.AppService")
    assert code == 0, err
    assert "skerry.platform.v1.AppService.DeployApp" in out.split()


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("skerry.platform.v1.AppService", "rpc DeployApp"),
        ("skerry.platform.v1.AppService.WatchApps", "stream .skerry.platform.v1.WatchAppsResponse"),
        ("skerry.platform.v1.AppService.CheckApp", ".skerry.platform.v1.CheckAppResponse"),
        ("skerry.platform.v1.CheckAppRequest", "repeated string profiles = 4;"),
        ("skerry.platform.v1.AppService.GetComposeSchema", "GetComposeSchemaRequest"),
        ("skerry.platform.v1.Deployment", "DeploymentPhase phase = 3;"),
        ("skerry.platform.v1.ErrorReason", "ERROR_REASON_AGENT_OFFLINE = 11;"),
    ],
)
async def test_it_describes(tool: Tool, symbol: str, words: str) -> None:
    code, out, err = await tool("describe", symbol)
    assert code == 0, err
    assert words in out


async def test_it_describes_everything(tool: Tool) -> None:
    _, listed, _ = await tool("list")
    code, out, err = await tool("describe")
    assert code == 0, err
    assert "skerry.platform.v1.AppService" in listed.split()
    assert out.count(" is a service:") == len(listed.split())


async def test_it_calls_with_a_token(tool: Tool) -> None:
    flags = (*tool.token, "-d", '{"parent": "organizations/default", "project_id": "shop"}')
    code, out, err = await tool("skerry.platform.v1.ProjectService/CreateProject", flags=flags)
    assert code == 0, err
    assert json.loads(out)["project"]["name"] == "organizations/default/projects/shop"


async def test_it_streams_with_a_token(tool: Tool) -> None:
    flags = (*tool.token, "-max-time", "3")
    _code, out, _err = await tool("skerry.platform.v1.ClusterService/WatchClusters", flags=flags)
    assert "EVENT_TYPE_SYNCED" in out


async def test_without_a_token_it_is_told_why(tool: Tool) -> None:
    code, out, err = await tool("skerry.platform.v1.ProjectService/ListProjects")
    assert code != 0
    assert out == ""
    assert "Code: Unauthenticated" in err
    assert '"reason": "CREDENTIALS_MISSING"' in err
    assert '"domain": "skerry.dev"' in err


async def test_health_needs_no_token(tool: Tool) -> None:
    code, out, err = await tool("grpc.health.v1.Health/Check")
    assert code == 0, err
    assert json.loads(out) == {"status": "SERVING"}
