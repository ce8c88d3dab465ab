"""Log follows: nothing lost, nothing doubled, over any cuts."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime

import grpc
import pytest
import skerry
from hypothesis import given, settings
from hypothesis import strategies as st
from skerry import errors, names
from skerry.log_resume import NANOSECONDS, SLACK, LogResume, line_time
from skerry.platform.v1 import log_pb2

from tests.fakes.control_plane import FakeControlPlane
from tests.fakes.script import Fail, Hold

APP = names.app("shop", "prod", "web")
AWAY = Fail(grpc.StatusCode.UNAVAILABLE)
EPOCH = 1_700_000_000 * NANOSECONDS


def line(time: int, text: str = "x") -> bytes:
    second, nanosecond = divmod(time, NANOSECONDS)
    stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{nanosecond:09d}Z {text}\n".encode()


def chunk(lines: bytes, pod: str = "web-1", restarts: int = 0) -> log_pb2.LogChunk:
    return log_pb2.LogChunk(service="web", pod=pod, container="web", lines=lines, restarts=restarts)


def response(lines: bytes, pod: str = "web-1") -> log_pb2.TailLogsResponse:
    return log_pb2.TailLogsResponse(chunk=chunk(lines, pod))


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        (b"2023-11-14T22:13:20.000000000Z hi", EPOCH),
        (b"2023-11-14T22:13:20.000000001Z hi", EPOCH + 1),
        (b"2023-11-14T22:13:20.5Z hi", EPOCH + 500_000_000),
        (b"2023-11-14T22:13:20Z hi", EPOCH),
        (b"2023-11-15T00:13:20.123456789+02:00 hi", EPOCH + 123_456_789),
        (b"no time at all", 0),
        (b"", 0),
        (b"\xff\xfe binary", 0),
    ],
)
def test_the_time_of_a_line(text: bytes, nanoseconds: int) -> None:
    assert line_time(text) == nanoseconds


@st.composite
def files(draw: st.DrawFn) -> dict[str, list[bytes]]:
    """Some containers' logs: times rise, but neighbours may be microseconds out of order."""
    found: dict[str, list[bytes]] = {}
    for pod in ("web-1", "web-2", "web-3")[: draw(st.integers(1, 3))]:
        time, lines = EPOCH, []
        for number in range(draw(st.integers(1, 12))):
            time += draw(st.integers(0, 5 * NANOSECONDS))
            skew = draw(st.integers(0, 2_000))
            lines.append(line(time - skew, draw(st.sampled_from(["x", "", f"line {number}"]))))
        unique = list(dict.fromkeys(lines))  # One clock never gives a writer one nanosecond twice.
        found[pod] = unique
    return found


@settings(deadline=None)
@given(
    files(), st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), max_size=3), st.data()
)
def test_any_cuts_lose_and_double_nothing(
    logs: dict[str, list[bytes]], cuts: list[list[int]], data: st.DataObject
) -> None:
    resume = LogResume(log_pb2.TailLogsRequest(app=APP, follow=True))
    request = log_pb2.TailLogsRequest(app=APP, follow=True)
    printed: dict[str, list[bytes]] = {pod: [] for pod in logs}
    for reach in [*cuts, [99, 99, 99]]:
        since = request.since_time.ToNanoseconds() if request.HasField("since_time") else 0
        since = since // NANOSECONDS * NANOSECONDS  # kubelet filters by whole seconds
        for (pod, lines), until in zip(logs.items(), reach, strict=False):
            resume.note_source(log_pb2.LogSource(pod=pod, container="web"))
            asked = [item for item in lines[:until] if line_time(item) >= since]
            while asked:
                size = data.draw(st.integers(1, len(asked)))
                piece, asked = asked[:size], asked[size:]
                fresh, gap = resume.take(chunk(b"".join(piece), pod))
                assert gap is None
                printed[pod] += fresh.splitlines(keepends=True)
        request = resume.next_request(settled=False)
    assert printed == logs


def test_a_rotated_log_is_a_gap() -> None:
    resume = LogResume(log_pb2.TailLogsRequest(follow=True))
    resume.take(chunk(line(EPOCH, "seen")))
    resume.next_request(settled=True)
    lines, gap = resume.take(chunk(line(EPOCH + 9 * NANOSECONDS, "later")))
    assert lines == line(EPOCH + 9 * NANOSECONDS, "later")
    assert gap is not None
    assert gap.from_time.ToNanoseconds() == EPOCH


def test_a_quiet_container_does_not_make_a_busy_one_be_read_again_from_its_start() -> None:
    resume = LogResume(log_pb2.TailLogsRequest(follow=True))
    resume.take(chunk(line(EPOCH, "quiet"), "web-1"))
    resume.take(chunk(line(EPOCH + 7200 * NANOSECONDS, "busy"), "web-2"))
    request = resume.next_request(settled=True)
    assert request.since_time.ToNanoseconds() == EPOCH + 7080 * NANOSECONDS - SLACK
    lines, gap = resume.take(chunk(line(EPOCH + 7201 * NANOSECONDS, "awake"), "web-1"))
    assert lines.endswith(b"awake\n")
    assert gap is None


def test_a_container_that_may_still_owe_old_lines_is_asked_for_them_again() -> None:
    asked = log_pb2.TailLogsRequest(app=APP, follow=True, tail_lines=5)
    resume = LogResume(asked)
    for pod in ("web-1", "web-2"):
        resume.note_source(log_pb2.LogSource(pod=pod, container="web"))
    resume.take(chunk(line(EPOCH), "web-1"))
    assert resume.next_request(settled=False) == asked
    assert not resume.next_request(settled=True).HasField("tail_lines")


def test_a_restarted_container_is_another_file() -> None:
    resume = LogResume(log_pb2.TailLogsRequest(follow=True))
    resume.take(chunk(line(EPOCH)))
    resume.next_request(settled=True)
    lines, _ = resume.take(chunk(line(EPOCH), restarts=1))
    assert lines == line(EPOCH)


async def test_a_follow_goes_on_over_a_restart_of_the_control_plane(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.add_app("web")
    old = [line(EPOCH + n * NANOSECONDS, f"{n}") for n in range(3)]
    new = [line(EPOCH + n * NANOSECONDS, f"{n}") for n in range(3, 5)]
    fake.script(
        "TailLogs",
        [response(b"".join(old)), AWAY],
        [Fail(grpc.StatusCode.UNAVAILABLE, "AGENT_OFFLINE")],
        [
            log_pb2.TailLogsResponse(),
            response(b"".join(old[1:] + new[:1])),
            response(new[1]),
            Hold(),
        ],
    )
    printed = b""
    async with aclosing(client.logs.tail(APP, follow=True, tail=3)) as events:
        async for event in events:
            assert isinstance(event, log_pb2.LogChunk)
            printed += event.lines
            if printed.endswith(new[1]):
                break
    assert printed == b"".join(old + new)
    again = fake.requests("TailLogs")[2]
    assert not again.HasField("tail_lines")
    assert again.since_time.ToNanoseconds() == EPOCH + 2 * NANOSECONDS - SLACK


async def test_a_server_that_is_stopped_and_started(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.add_app("web")
    fake.script("TailLogs", [response(line(EPOCH, "before")), Hold()])
    fake.script("TailLogs", [response(line(EPOCH, "before") + line(EPOCH + 9, "after")), Hold()])
    printed = b""
    async with aclosing(client.logs.tail(APP, follow=True)) as events:
        async for event in events:
            assert isinstance(event, log_pb2.LogChunk)
            printed += event.lines
            if b"after" in printed:
                break
            address = fake.address
            await fake.stop()
            await fake.listen(address)
    assert printed == line(EPOCH, "before") + line(EPOCH + 9, "after")


async def test_without_follow_a_cut_is_an_error(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.add_app("web")
    fake.script("TailLogs", [response(line(EPOCH)), AWAY])
    with pytest.raises(errors.Unavailable):
        async for _ in client.logs.tail(APP):
            pass


async def test_an_app_that_does_not_exist(fake: FakeControlPlane, client: skerry.Client) -> None:
    with pytest.raises(errors.NotFound):
        async for _ in client.logs.tail(APP, follow=True):
            pass
