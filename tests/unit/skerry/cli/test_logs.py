"""`skerry logs`: prefixes, times, gaps, and a follow over a restart."""

from __future__ import annotations

import io
import json
import time

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from skerry.cli.log_printer import LogPrinter
from skerry.platform.v1 import app_pb2, log_pb2

from tests.fakes.control_plane import FakeControlPlane
from tests.fakes.script import Fail
from tests.unit.skerry.cli.conftest import NOW, Cli

AWAY = Fail(grpc.StatusCode.UNAVAILABLE)
GONE = Fail(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND", "the app was deleted")


def chunk(service: str, *texts: bytes, pod: str = "", second: int = 0) -> log_pb2.LogChunk:
    lines = b"".join(
        b"2026-11-23T12:00:%02d.%09dZ %s\n" % (second, number, text)
        for number, text in enumerate(texts)
    )
    return log_pb2.LogChunk(service=service, pod=pod or f"{service}-0", container="c", lines=lines)


def response(*args: object, **fields: object) -> log_pb2.TailLogsResponse:
    return log_pb2.TailLogsResponse(chunk=chunk(*args, **fields))  # type: ignore[arg-type]


def status(service: str, *pods: str) -> app_pb2.ServiceStatus:
    return app_pb2.ServiceStatus(service=service, pods=[app_pb2.PodStatus(pod=pod) for pod in pods])


async def test_one_source_prints_as_the_container_did(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_app("web", services=[status("api", "api-0")])
    fake.script("TailLogs", [response("api", b"hello", b"", b"  indented: 1")])
    assert (await cli("logs", "web")).out == "hello\n\n  indented: 1\n"


async def test_several_sources_are_named_from_the_first_line_on(
    fake: FakeControlPlane, cli: Cli
) -> None:
    fake.add_app("web", services=[status("api", "api-0"), status("worker", "worker-0")])
    fake.script("TailLogs", [response("api", b"a"), response("worker", b"b")])
    assert (await cli("logs", "web")).out == "api    | a\nworker | b\n"


async def test_two_pods_of_a_service_are_told_apart(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_app("web", services=[status("api", "api-6d-aaaaa", "api-6d-bbbbb")])
    fake.script(
        "TailLogs",
        [response("api", b"1", pod="api-6d-aaaaa"), response("api", b"2", pod="api-6d-bbbbb")],
    )
    assert (await cli("logs", "web")).out == "api/aaaaa | 1\napi/bbbbb | 2\n"


async def test_prefix_and_times_by_request(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_app("web")
    one = [response("api", b"hello")]
    fake.script("TailLogs", one, one, one)
    stamp = "2026-11-23T12:00:00.000000000Z"
    assert (await cli("logs", "web", "--prefix")).out == "api | hello\n"
    assert (await cli("logs", "web", "--timestamps")).out == f"{stamp} hello\n"
    assert (await cli("logs", "web", "--timestamps", "--prefix")).out == f"api | {stamp} hello\n"


async def test_what_is_asked_for(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_app("web")
    await cli("logs", "web", "-s", "api", "-s", "db", "--since", "10m", "--tail", "5", "--previous")
    (request,) = fake.requests("TailLogs")
    assert list(request.services) == ["api", "db"]
    assert request.since_time == Timestamp(seconds=int(NOW.timestamp()) - 600)
    assert (request.tail_lines, request.previous, request.follow) == (5, True, False)
    await cli("logs", "web", "--since", "2026-11-23T10:00:00+02:00")
    assert fake.requests("TailLogs")[1].since_time.ToJsonString() == "2026-11-23T08:00:00Z"
    assert not fake.requests("TailLogs")[1].HasField("tail_lines")


async def test_a_follow_over_a_restart_of_the_control_plane(
    fake: FakeControlPlane, cli: Cli
) -> None:
    fake.add_app("web")
    fake.script(
        "TailLogs",
        [response("api", b"one", b"two"), AWAY],
        [response("api", b"one", b"two", b"three"), GONE],
    )
    followed = await cli("logs", "web", "-f")
    assert followed.out == "one\ntwo\nthree\n"
    assert followed.err.splitlines()[0].startswith("connection lost, trying again")
    assert followed.code == 3


async def test_gaps_and_ends_are_said_beside_the_lines(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_app("web")
    gap = log_pb2.LogGap(service="api", pod="api-0", message="the node was away")
    gap.from_time.FromDatetime(NOW)
    fake.script(
        "TailLogs",
        [
            log_pb2.TailLogsResponse(source=log_pb2.LogSource(service="api", pod="api-0")),
            log_pb2.TailLogsResponse(gap=gap),
            log_pb2.TailLogsResponse(),
            log_pb2.TailLogsResponse(
                source=log_pb2.LogSource(
                    service="api", pod="api-0", ended=True, message="it was deleted"
                )
            ),
        ],
    )
    said = await cli("logs", "web", "--quiet")
    assert said.err == (
        "-- lines of api (api-0) from 2026-11-23T12:00:00Z are missing: the node was away\n"
    )
    assert said.out == ""


async def test_json_is_the_chunk(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_app("web")
    fake.script("TailLogs", [response("api", b"hello")])
    assert json.loads((await cli("logs", "web", "-o", "json")).out)["service"] == "api"


TEXT = st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"\r"))


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=20), st.booleans(), st.booleans())
def test_any_bytes_come_through(texts: list[bytes], timestamps: bool, prefix: bool) -> None:
    out = io.BytesIO()
    printer = LogPrinter(out, timestamps=timestamps, prefix=prefix, color=False)
    given_chunk = chunk("a\\1b", *texts)
    printer.show(given_chunk)
    front = b"a\\1b | " if prefix else b""
    stamps = [line.split(b" ", 1)[0] + b" " for line in given_chunk.lines.split(b"\n")[:-1]]
    expected = [
        front + (stamp if timestamps else b"") + text
        for stamp, text in zip(stamps, texts, strict=True)
    ]
    assert out.getvalue() == b"".join(line + b"\n" for line in expected)


@pytest.mark.parametrize("prefix", [False, True])
def test_printing_is_far_faster_than_the_link(prefix: bool) -> None:
    lines = chunk("api", *[b"x" * 80] * 600)
    printer = LogPrinter(io.BytesIO(), timestamps=False, prefix=prefix, color=False)
    started = time.process_time()
    for _ in range(200):
        printer.show(lines)
    assert 200 * 600 / (time.process_time() - started) > 160_000
