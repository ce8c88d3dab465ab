"""The link to a cluster's agent, in lines for people. Used by `skerry cluster get`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration

from skerry.cli.output import words
from skerry.cli.output.tone import Tone
from skerry.platform.v1 import cluster_pb2


def lines(cluster: cluster_pb2.Cluster, now: datetime) -> Iterator[tuple[str, Tone]]:
    """What is wrong first, then how the link is; nothing for a cluster that no agent has joined."""
    if not cluster.HasField("link"):
        return
    link = cluster.link
    for problem in link.problems:
        yield f"link: {problem.message}", Tone.BUSY
    if link.HasField("connect_time"):
        yield _live(cluster, now), Tone.PLAIN
    if link.last_disconnect_reason:
        ended = words.age(link.last_disconnect_time, now)
        yield (
            f"link: {link.reconnects_last_hour} connections lost within the last hour; "
            f"the last one ended {ended} ago as {link.last_disconnect_reason}",
            Tone.PLAIN,
        )
    if link.pending_commands:
        yield f"link: {link.pending_commands} commands have not ended", Tone.PLAIN


def _live(cluster: cluster_pb2.Cluster, now: datetime) -> str:
    link = cluster.link
    parts = [f"link: up {words.age(link.connect_time, now)}"]
    if cluster.HasField("round_trip") and link.HasField("smoothed_round_trip"):
        parts.append(
            f"round trip {_milliseconds(cluster.round_trip)} "
            f"(smoothed {_milliseconds(link.smoothed_round_trip)})"
        )
    streams = ", ".join(f"{stream.count} {stream.kind}" for stream in link.streams)
    parts.append(f"streams {streams or 'none'}")
    parts.append(f"in {words.size(link.received_bytes)}, out {words.size(link.sent_bytes)}")
    parts.append(f"connection {link.epoch}, protocol {link.protocol}")
    if link.capabilities:
        parts.append(f"can {', '.join(link.capabilities)}")
    return "; ".join(parts)


def _milliseconds(value: Duration) -> str:
    return f"{value.ToTimedelta() / timedelta(milliseconds=1):.1f} ms"
