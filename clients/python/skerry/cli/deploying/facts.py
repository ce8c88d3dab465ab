"""What becomes of a compose project: services with the ports that were found, volumes, the public service, shared stores.

Shown by `skerry plan` and `skerry check`, of the same facts. Tables go to stdout, sentences to stderr.
"""

from __future__ import annotations

from collections.abc import Iterator

from skerry.cli.output.tables import Tables
from skerry.cli.run import Run
from skerry.platform.v1 import app_pb2

_WORDS = {"postgres": "PostgreSQL", "s3": "S3"}


def show(run: Run, answer: app_pb2.PlanAppResponse | app_pb2.CheckAppResponse) -> None:
    """All there is; nothing for what the project does not have."""
    tables = Tables(run.around.now())
    # What is above it on stdout: the changes of a plan.
    above = isinstance(answer, app_pb2.PlanAppResponse) and bool(answer.changes)
    for table, rows in ((tables.checked, answer.services), (tables.volumes, answer.volumes)):
        if rows:
            if above:
                run.out.line("")
            run.out.table(table, list(rows))
            above = True
    for sentence in _sentences(answer):
        run.out.say(sentence)


def _sentences(answer: app_pb2.PlanAppResponse | app_pb2.CheckAppResponse) -> Iterator[str]:
    if answer.public_service:
        port = f":{answer.public_port}" if answer.public_port else ""
        host = f" as {answer.public_host}" if answer.public_host else ""
        yield f"Public service: {answer.public_service}{port}{host} ({answer.public_service_reason})"
    for binding in answer.bindings:
        if said := _binding(binding):
            yield said


def _binding(binding: app_pb2.Binding) -> str:
    """Empty for one that is wanted and not there: the findings say that, with its place."""
    if binding.wanted:
        if not binding.available:
            return ""
        store = _WORDS.get(binding.kind, binding.kind)
        return f"{binding.service}: the shared {store} takes its place ({binding.reason})"
    if binding.available:
        use = f"x-skerry: {{use: shared-{binding.kind}}}"
        return (
            f"{binding.service}: {binding.reason}, so the shared one could take its place ({use})"
        )
    return (
        f"{binding.service}: {binding.reason}, but this cluster has no shared one to take its place"
    )
