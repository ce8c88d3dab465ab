"""A real cluster, a real chart repository, and a bootstrap that does not wait long."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import random
import tarfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from skerry.agent.v1 import report_pb2

from agent.bootstrap.addon import AddOn
from agent.bootstrap.machine import Backoff
from agent.bootstrap.reconciler import Pace
from agent.bootstrap.service import Bootstrap
from agent.kube import KubeClient
from agent.kube.errors import KubeError
from agent.link import ReportBoard

PACE = Pace(
    backoff=Backoff(first=1, most=3, jitter=0.0), resync=10, progress=2, settle=0.1, unreachable=0.5
)
IMAGE = "docker.io/library/busybox:1.36"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The test's output is not a web server's log."""


@dataclass
class ChartRepository:
    """An HTTP server with one chart, at an address that pods reach; off until `start`."""

    folder: Path
    address: str
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def reserve(self) -> None:
        """Pick a port without serving, for a repository that comes later."""
        server = ThreadingHTTPServer((self.address, 0), QuietHandler)
        self.port = server.server_port
        server.server_close()

    def start(self) -> None:
        handler = partial(QuietHandler, directory=str(self.folder))
        self._server = ThreadingHTTPServer((self.address, self.port), handler)
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def publish(self, name: str, version: str, templates: dict[str, str]) -> None:
        """Package a chart as helm does, and list it."""
        chart = {"apiVersion": "v2", "name": name, "version": version}
        files = {"Chart.yaml": yaml.safe_dump(chart)}
        files.update({f"templates/{key}": text for key, text in templates.items()})
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for path, text in files.items():
                info = tarfile.TarInfo(f"{name}/{path}")
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
        archive = f"{name}-{version}.tgz"
        (self.folder / archive).write_bytes(gzip.compress(raw.getvalue()))
        index = self.folder / "index.yaml"
        known = (
            yaml.safe_load(index.read_text())
            if index.exists()
            else {"apiVersion": "v1", "entries": {}}
        )
        known["entries"].setdefault(name, []).append({**chart, "urls": [archive]})
        index.write_text(yaml.safe_dump(known))


class Board(ReportBoard):
    """The real board, with a way to wait for what is said on it, and a memory of states."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()
        self.states: list[str] = []

    def put(self, key: str, kind: report_pb2.AddOnStatus) -> None:  # type: ignore[override]
        super().put(key, kind)
        if not self.states or self.states[-1] != kind.state:
            self.states.append(kind.state)
        self.changed.set()

    async def until(
        self, name: str, wanted: Callable[[report_pb2.AddOnStatus], bool], seconds: float = 90
    ) -> report_pb2.AddOnStatus:
        """The add-on's first report that is as wanted."""
        last = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    report = self.snapshot().get(f"addons/{name}")
                    last = report and report.add_on
                    if last is not None and wanted(last):
                        return last
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            pytest.fail(f"not so within {seconds} s; last report of {name}:\n{last}")

    async def until_state(
        self, name: str, state: str, seconds: float = 90
    ) -> report_pb2.AddOnStatus:
        return await self.until(name, lambda status: status.state == state, seconds)


@dataclass
class World:
    """What a test works in: a namespace of its own, and bootstraps to start and to kill."""

    kube: KubeClient
    namespace: str
    running: list[asyncio.Task[None]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)

    def bootstrap(self, add_ons: Sequence[AddOn], board: Board) -> Bootstrap:
        return Bootstrap(
            add_ons,
            kube=self.kube,
            namespace=self.namespace,
            reports=board,
            pace=PACE,
            clock=lambda: datetime.now(UTC),
            chance=random.random,
        )

    def start(self, add_ons: Sequence[AddOn], board: Board) -> Bootstrap:
        bootstrap = self.bootstrap(add_ons, board)
        self.running.append(asyncio.create_task(bootstrap.run(), name="bootstrap"))
        return bootstrap

    async def kill(self) -> None:
        """End all bootstraps where they stand."""
        for task in self.running:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.running.clear()

    async def remove(self) -> None:
        """Charts first: helm must uninstall while its namespace is there."""
        await self.kill()
        for chart in await self.kube.list("helm.cattle.io/v1", "HelmChart", self.namespace):
            name = chart["metadata"]["name"]
            await self.kube.delete("helm.cattle.io/v1", "HelmChart", name, self.namespace)
        async with asyncio.timeout(120):
            async for _ in polled():
                if not await self.kube.list("helm.cattle.io/v1", "HelmChart", self.namespace):
                    break
        for name in (*self.targets, self.namespace):
            await self.kube.delete("v1", "Namespace", name)


async def polled(seconds: float = 0.3) -> AsyncIterator[None]:
    """For conditions of the cluster that nothing announces."""
    while True:
        yield
        await asyncio.sleep(seconds)


@pytest.fixture
async def kube(kubeconfig: str) -> AsyncIterator[KubeClient]:
    async with KubeClient(Path(kubeconfig)) as client:
        yield client


@pytest.fixture
async def world(kube: KubeClient) -> AsyncIterator[World]:
    try:
        served = await kube.is_served("helm.cattle.io/v1", "HelmChart")
    except KubeError as error:
        pytest.skip(f"the dev cluster does not answer: {error}")
    if not served:
        pytest.skip("the dev cluster has no helm-controller yet")
    name = f"skerry-test-{uuid.uuid4().hex[:8]}"
    created = World(kube, name, targets=[f"{name}-target"])
    yield created
    await created.remove()


@pytest.fixture
async def node_address(kube: KubeClient) -> str:
    nodes = await kube.list("v1", "Node")
    return next(a["address"] for a in nodes[0]["status"]["addresses"] if a["type"] == "InternalIP")


@pytest.fixture
def repository(tmp_path: Path, node_address: str) -> Iterator[ChartRepository]:
    created = ChartRepository(tmp_path, node_address)
    created.reserve()
    yield created
    created.stop()
