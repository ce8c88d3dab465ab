"""`skerry audit`: who did what, from where, and what came of it."""

from __future__ import annotations

import contextlib
import json
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToDict

from skerry.cli.command import command, group
from skerry.cli.durations import parse_since
from skerry.cli.exit_codes import CliError
from skerry.cli.output.access_tables import AccessTables
from skerry.cli.run import Run
from skerry.platform.v1 import audit_pb2

app = group("The audit log: list, watch, export, verify.")

On = Annotated[
    str, typer.Option("--on", metavar="RESOURCE", help="About this resource and what is below.")
]


@command(
    app,
    "list",
    scoped=False,
    examples="skerry audit list --result REFUSED\nskerry audit list --actor users/anne --last 20",
)
async def list_entries(
    run: Run,
    on: On = "",
    actor: Annotated[str, typer.Option("--actor", metavar="NAME", help="Who.")] = "",
    method: Annotated[str, typer.Option("--method", help="What: DeployApp, Login …")] = "",
    result: Annotated[str, typer.Option("--result", help="OK, REFUSED, or a code.")] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From then on: 10m, 2h, or RFC 3339.")
    ] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="Before then: 10m, 2h, or RFC 3339.")
    ] = "",
    last: Annotated[int, typer.Option("--last", min=1, help="At most so many.")] = 100,
) -> None:
    """List entries, newest first."""
    found: list[audit_pb2.AuditEntry] = []
    now = run.around.now()
    begin = parse_since(since, now) if since else None
    end = parse_since(until, now) if until else None
    async with run.client() as client:
        entries = client.audit.list(
            on, actor=actor, method=method, result=result, since=begin, until=end
        )
        async with contextlib.aclosing(entries):
            async for entry in entries:
                found.append(entry)
                if len(found) >= last:
                    break
    run.out.all(found, AccessTables(run.around.now()).audit, empty="No entries")


@command(app, "watch", scoped=False, examples="skerry audit watch")
async def watch(run: Run, on: On = "") -> None:
    """Print entries as they are written, a JSON object a line."""
    async with run.client() as client, contextlib.aclosing(client.audit.watch(on)) as entries:
        async for entry in entries:
            run.out.line(as_line(entry))
            run.out.flush()


@command(app, "export", scoped=False, examples="skerry audit export > audit.jsonl")
async def export(run: Run, on: On = "") -> None:
    """Print all entries, newest first, a JSON object a line."""
    async with run.client() as client:
        async for entry in client.audit.list(on, page_size=1000):
            run.out.line(as_line(entry))


@command(app, "verify", scoped=False, examples="skerry audit verify")
async def verify(run: Run) -> None:
    """Say whether an entry is missing or was changed. Exit 1 when one was."""
    async with run.client() as client:
        verdict = await client.audit.verify()
    if not verdict.intact:
        raise CliError(f"the audit log is broken: {verdict.message}")
    run.out.say(f"{verdict.entries} entries, all there as they were written")
    run.out.line(verdict.head)


def as_line(entry: audit_pb2.AuditEntry) -> str:
    return json.dumps(MessageToDict(entry), ensure_ascii=False, sort_keys=True)
