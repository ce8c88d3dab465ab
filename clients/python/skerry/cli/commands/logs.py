"""`skerry logs`: what an app's containers print."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import Annotated

import typer

from skerry.cli.command import command, single
from skerry.cli.durations import parse_since
from skerry.cli.log_printer import LogPrinter, Source
from skerry.cli.options import AppName
from skerry.cli.output.tone import Tone
from skerry.cli.output.writer import Format
from skerry.cli.run import Run
from skerry.platform.v1 import app_pb2, log_pb2

app = single()


@command(
    app,
    "logs",
    examples="""
        skerry logs web -f
        skerry logs web -s api -s worker --since 10m
        skerry logs shop/prod/web --tail 100 --timestamps
        skerry logs web -s api --previous
    """,
)
async def logs(
    run: Run,
    name: AppName,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", "-s", metavar="SERVICE", help="Only this service; repeatable."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="WHEN", help="Only lines from then on: 10m, or an RFC 3339 time."
        ),
    ] = "",
    tail: Annotated[
        int | None,
        typer.Option(
            "--tail", "-n", metavar="LINES", min=0, help="Only the last lines of each container."
        ),
    ] = None,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", "-t", help="Print each line's time.")
    ] = False,
    prefix: Annotated[
        bool | None,
        typer.Option(
            "--prefix/--no-prefix", help="Print each line's source. [default: if several]"
        ),
    ] = None,
    previous: Annotated[
        bool, typer.Option("--previous", help="Read the container before its last restart.")
    ] = False,
) -> None:
    """Print what an app's containers print.

    A follow goes on over restarts of pods, of the control plane and of the network; lines that could not
    be had are said on stderr.
    """
    full = run.app(name)
    services = service or []
    moment = parse_since(since, run.around.now()) if since else None
    async with run.client() as client:
        known: list[Source] = []
        if prefix is None:
            known = sources(await client.apps.get(full), services)
        printer = LogPrinter(
            sys.stdout.buffer,
            timestamps=timestamps,
            prefix=prefix,
            color=run.out.color_out,
            known=known,
        )
        stream = client.logs.tail(
            full,
            services=services,
            follow=follow,
            since=moment,
            tail=tail,
            previous=previous,
            on_cut=run.cut,
        )
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, log_pb2.LogChunk):
                    if run.out.form is Format.JSON:
                        run.out.structured(event)
                    else:
                        printer.show(event)
                elif follow or isinstance(event, log_pb2.LogGap):
                    tell(run, event)  # without a follow every log ends, and nobody needs to hear it


def sources(found: app_pb2.App, services: list[str]) -> list[Source]:
    """The pods that are there already, so that the first line is prefixed as the last will be."""
    return [
        (status.service, pod.pod)
        for status in found.services
        if not services or status.service in services
        for pod in status.pods
    ]


def tell(run: Run, event: log_pb2.LogGap | log_pb2.LogSource) -> None:
    """Say on stderr what is not a line."""
    if isinstance(event, log_pb2.LogGap):
        since = event.from_time.ToJsonString() if event.HasField("from_time") else "an unknown time"
        place = f"{event.service} ({event.pod})"
        run.out.insist(f"-- lines of {place} from {since} are missing: {event.message}", Tone.BUSY)
    elif event.ended and event.message:
        run.out.say(f"-- {event.service} ({event.pod}) has ended: {event.message}", Tone.DIM)
