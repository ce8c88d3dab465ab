"""The status of apps is reported as it changes, without anybody asking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from skerry.agent.v1 import report_pb2

from agent.handlers.status import AppReports
from agent.kube import KubeClient
from agent.link.reports import ReportBoard
from agent.workloads.reporter import ReporterSettings, StatusReporter
from tests.integration.agent.conftest import IMAGE, App
from tests.integration.agent.test_deploy import WEB

pytestmark = pytest.mark.cluster


@pytest.fixture
async def board(kube: KubeClient) -> AsyncIterator[ReportBoard]:
    """A board that a running reporter fills."""
    board = ReportBoard()
    reports = AppReports(board)
    reporter = StatusReporter(
        kube, reports.publish, reports.retract, ReporterSettings(interval=0.2, look_again=1.0)
    )
    task = asyncio.create_task(reporter.run(), name="reporter")
    yield board
    task.cancel()
    with pytest.raises(asyncio.CancelledError):  # whatever else ended it is a failure
        await task


async def reported(
    app: App, board: ReportBoard, holds: Callable[[report_pb2.AppStatus | None], bool]
) -> report_pb2.AppStatus | None:
    """Wait until the report of the app is as wanted."""
    changed = asyncio.Event()
    board.subscribe(lambda _: changed.set())
    async with asyncio.timeout(90):
        while True:
            report = board.snapshot().get(f"apps/{app.uid}")
            status = report.app if report else None
            if holds(status):
                return status
            await changed.wait()
            changed.clear()


async def test_an_app_is_reported_from_its_first_deploy_to_its_removal(
    app: App, board: ReportBoard
) -> None:
    assert (await app.deploy(WEB)).code == 0
    status = await reported(app, board, lambda s: s is not None and s.revision == 1)
    assert status is not None
    assert (status.state, status.namespace) == ("READY", app.environment.namespace)
    assert [(s.service, s.ready, len(s.pods)) for s in status.services] == [("web", 1, 1)]
    await app.remove()
    await reported(app, board, lambda s: s is None)


async def test_a_pod_that_begins_to_fail_later_is_reported(app: App, board: ReportBoard) -> None:
    compose = WEB + (
        "    healthcheck: {test: [CMD, test, '!', -e, /tmp/broken], interval: 1s, retries: 1}\n"
    )
    assert (await app.deploy(compose)).code == 0
    (pod,) = await app.pods("web")
    session = await app.kube.exec(
        app.environment.namespace, pod["metadata"]["name"], "web", ["touch", "/tmp/broken"]
    )
    async for _ in session.output():
        pass
    await session.close()
    status = await reported(app, board, lambda s: s is not None and s.reason == "ProbeFailing")
    assert status is not None
    assert status.state != "READY"


async def test_a_failed_deploy_with_the_old_revision_serving_is_degraded(
    app: App, board: ReportBoard
) -> None:
    assert (await app.deploy(WEB)).code == 0
    assert (await app.deploy(WEB.replace(IMAGE, "registry.invalid/nothing:1"))).code != 0
    status = await reported(app, board, lambda s: s is not None and s.state == "DEGRADED")
    assert status is not None
    assert (status.revision, status.reason) == (1, "ImageNotFound")
