"""The check stream: the converter's findings and facts, without blocking and without work for nobody."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from skerry.agent.v1 import command_pb2, link_pb2, stream_pb2

from agent.compose import Context, Plan, plan
from agent.compose.schema import json_schema
from agent.handlers.check import CheckHandler, ComposeSchemaHandler
from agent.link.errors import StreamError
from agent.workloads.checking import Checker
from agent.workloads.conversion import ConversionSettings
from agent.workloads.model import DeployRequest, EnvironmentSpec

FILES = {
    "compose.yml": """services:
  my_db:
    image: postgres:16
    privledged: true
    volumes: [data:/var/lib/postgresql/data]
  web:
    image: nginx
    depends_on: [my_db, ghost]
    ports: ["8080:80"]
  extra:
    image: nginx
    profiles: [debug]
volumes: {data: }
"""
}
PATIENCE = 20.0


class Sink:
    """What a handler sends (double of the link's stream)."""

    max_message_bytes = 1 << 20

    def __init__(self) -> None:
        self.sent = b""

    async def send(self, payload: bytes, channel: int = 0) -> None:
        self.sent += payload

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the handler calls {name}")


@pytest.fixture
def one_worker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def opened(files: dict[str, str] = FILES, *profiles: str) -> link_pb2.Open:
    deploy = command_pb2.DeployApp(
        environment=command_pb2.EnvironmentSpec(namespace="ns", project="shop", environment="prod"),
        app="shop",
        compose_files=["compose.yml"],
        files=[command_pb2.File(path=path, content=text.encode()) for path, text in files.items()],
    )
    return link_pb2.Open(check=stream_pb2.OpenCheck(deploy=deploy, profiles=profiles))


async def checked(executor: ThreadPoolExecutor, open_: link_pb2.Open) -> stream_pb2.CheckResult:
    sink = Sink()
    await CheckHandler(Checker(plan, executor))(open_, sink)
    return stream_pb2.CheckResult.FromString(sink.sent)


async def test_findings_and_facts_also_of_a_rejected_project(
    one_worker: ThreadPoolExecutor,
) -> None:
    result = await checked(one_worker, opened())
    assert result.rejected
    unknown = next(d for d in result.diagnostics if d.code == "CMP002")
    assert (unknown.file, unknown.line, unknown.column) == ("compose.yml", 4, 5)
    assert (unknown.end_line, unknown.end_column) == (4, 15)
    assert unknown.hint == 'Did you mean "privileged"?'
    facts = {one.service: one for one in result.services}
    assert set(facts) == {"my_db", "web"}
    assert facts["my_db"].host_name == "my-db"
    assert [(p.port, p.source) for p in facts["my_db"].ports] == [(5432, "image")]
    assert facts["my_db"].volumes == ["shop-data"]
    assert facts["web"].depends_on == ["my-db"]
    assert (result.public_service, result.public_port) == ("web", 80)


async def test_both_places_of_a_finding_that_came_through_extends(
    one_worker: ThreadPoolExecutor,
) -> None:
    files = {
        "compose.yml": "services:\n  web:\n    extends: {file: base.yml, service: b}\n",
        "base.yml": "services: {b: {image: a, privileged: true}}",
    }
    (found,) = (await checked(one_worker, opened(files))).diagnostics
    assert (found.file, found.line, found.code) == ("base.yml", 1, "CMP311")
    assert found.via == "extends at compose.yml:3:40"


async def test_shared_stores_are_offered_but_not_there(one_worker: ThreadPoolExecutor) -> None:
    text = "services: {db: {image: postgres, environment: {POSTGRES_PASSWORD: geheim}}}"
    sink = Sink()
    await CheckHandler(Checker(plan, one_worker))(opened({"compose.yml": text}), sink)
    (binding,) = stream_pb2.CheckResult.FromString(sink.sent).bindings
    assert (binding.service, binding.kind, binding.wanted) == ("db", "postgres", False)
    assert not binding.available, "no agent makes databases for apps yet"
    assert b"geheim" not in sink.sent


async def test_a_project_that_cannot_be_read_has_findings_only(
    one_worker: ThreadPoolExecutor,
) -> None:
    result = await checked(one_worker, opened({"compose.yml": "services: [\n"}))
    assert result.rejected
    assert [d.code for d in result.diagnostics] == ["CMP015"]
    assert not result.services


async def test_profiles_switch_services_on(one_worker: ThreadPoolExecutor) -> None:
    result = await checked(one_worker, opened(FILES, "debug"))
    assert {one.service for one in result.services} == {"my_db", "web", "extra"}


async def test_a_file_that_was_not_sent(one_worker: ThreadPoolExecutor) -> None:
    with pytest.raises(StreamError, match=r"compose\.yml is not among the files"):
        await checked(one_worker, opened({"other.yml": ""}))


async def test_an_outdated_check_is_not_begun_and_the_loop_goes_on(
    one_worker: ThreadPoolExecutor,
) -> None:
    begun: list[str] = []
    go_on = threading.Event()
    loop, running = asyncio.get_running_loop(), asyncio.Event()

    def slow(_: object, context: Context) -> Plan:
        begun.append(context.app)
        loop.call_soon_threadsafe(running.set)
        assert go_on.wait(PATIENCE)
        return Plan()

    checker = Checker(slow, one_worker, ConversionSettings())
    first, second, third = (
        asyncio.create_task(checker.check(_request(app))) for app in ("one", "two", "three")
    )
    # The loop runs although the converter holds its thread.
    await asyncio.wait_for(running.wait(), PATIENCE)
    second.cancel()
    await asyncio.wait({second})
    go_on.set()
    await asyncio.wait_for(asyncio.gather(first, third), PATIENCE)
    assert begun == ["one", "three"]


async def test_the_schema_is_sent_as_text() -> None:
    sink = Sink()
    await ComposeSchemaHandler()(link_pb2.Open(), sink)
    assert json.loads(sink.sent) == json_schema()


def _request(app: str) -> DeployRequest:
    return DeployRequest(
        environment=EnvironmentSpec("ns", "u", "o", "shop", "prod"),
        app=app,
        app_uid="",
        revision=0,
        deployment="",
        compose_files=("compose.yml",),
        files={"compose.yml": b"services: {web: {image: a}}"},
        variables={},
        progress_deadline=1.0,
    )
