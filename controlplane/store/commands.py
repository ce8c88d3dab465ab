"""The outbox: commands to agents, numbered for each cluster without holes.

A command's row is written in the transaction of what it is for, so that either both exist or neither. The number is counted up
in the cluster's row in that same transaction: one that is rolled back leaves no hole.
"""

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update

from controlplane.domain.commands import (
    Command,
    CommandBody,
    CommandOutcome,
    CommandRecord,
    CommandState,
    DeleteApp,
    DeleteEnvironment,
    DeployApp,
    EnsureEnvironment,
    RetryAddOn,
)
from controlplane.store.codec import decode, encode
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed
from controlplane.store.repository import Repository
from controlplane.store.revisions import RevisionRepository
from controlplane.store.tables import clusters, commands

_BODIES: dict[str, type[CommandBody]] = {
    body.kind: body
    for body in (EnsureEnvironment, DeleteEnvironment, DeployApp, DeleteApp, RetryAddOn)
}
_UNFINISHED = commands.c.state != CommandState.FINISHED.value


class CommandRepository(Repository):
    """Reads and writes commands."""

    def __init__(
        self,
        connection: Connection,
        sealed: Sealed,
        revisions: RevisionRepository,
        *,
        writable: bool,
        now: datetime,
    ) -> None:
        super().__init__(connection, sealed, writable=writable)
        self._revisions = revisions
        self._now = now

    async def add(
        self,
        command_id: str,
        cluster_uid: str,
        body: CommandBody,
        *,
        environment_uid: str,
        operation_uid: str,
        now: datetime,
        app_uid: str = "",
        deployment_uid: str = "",
        deadline: datetime | None = None,
    ) -> Command:
        """Put a command into a cluster's outbox, behind all others."""
        seq = await self._connection.scalar(
            update(clusters)
            .where(clusters.c.uid == cluster_uid)
            .values(last_command_seq=clusters.c.last_command_seq + 1)
            .returning(clusters.c.last_command_seq)
        )
        if seq is None:
            raise LookupError(f"no cluster {cluster_uid}")
        await self._run(
            insert(commands).values(
                command_id=command_id,
                cluster_uid=cluster_uid,
                seq=seq,
                kind=body.kind,
                body=_stored(body),
                state=CommandState.QUEUED.value,
                environment_uid=environment_uid,
                app_uid=app_uid,
                operation_uid=operation_uid,
                deployment_uid=deployment_uid,
                deadline=deadline,
                cancel_requested=False,
                progress_epoch=0,
                progress_version=0,
                create_time=now,
                reason="",
                message="",
            )
        )
        return Command(int(seq), command_id, cluster_uid, deadline, body)

    async def take(self, cluster_uid: str, after_seq: int) -> Sequence[Command]:
        """Unfinished commands behind `after_seq`, in order; those never handed out before are now SENT."""
        rows = await self._rows(
            select(commands)
            .where(commands.c.cluster_uid == cluster_uid, commands.c.seq > after_seq, _UNFINISHED)
            .order_by(commands.c.seq)
        )
        await self._run(
            update(commands)
            .where(
                commands.c.cluster_uid == cluster_uid,
                commands.c.seq > after_seq,
                commands.c.state == CommandState.QUEUED.value,
            )
            .values(state=CommandState.SENT.value)
        )
        # What ended meanwhile and lies behind `after_seq` never reached the agent, and never will: nothing is left to cancel.
        await self._run(
            update(commands)
            .where(
                commands.c.cluster_uid == cluster_uid,
                commands.c.seq > after_seq,
                commands.c.state == CommandState.FINISHED.value,
                commands.c.result_time.is_(None),
            )
            .values(result_time=self._now)
        )
        return [await self._command(row) for row in rows]

    async def cancels(self, cluster_uid: str) -> Sequence[int]:
        """Sequence numbers of commands that are to be cancelled and that the agent has not said the end of."""
        rows = await self._rows(
            select(commands.c.seq)
            .where(
                commands.c.cluster_uid == cluster_uid,
                commands.c.cancel_requested,
                commands.c.result_time.is_(None),
            )
            .order_by(commands.c.seq)
        )
        return [int(row.seq) for row in rows]

    async def acknowledge(self, cluster_uid: str, seq: int) -> Sequence[CommandRecord]:
        """Commands up to `seq` are in the agent's journal; returns those of which that is news."""
        query = select(commands).where(
            commands.c.cluster_uid == cluster_uid,
            commands.c.seq <= seq,
            commands.c.state.in_([CommandState.QUEUED.value, CommandState.SENT.value]),
        )
        news = [_record(row) for row in await self._rows(query)]
        if news:
            await self._run(
                update(commands)
                .where(commands.c.command_id.in_([record.command_id for record in news]))
                .values(state=CommandState.ACKED.value)
            )
        return news

    async def get(self, cluster_uid: str, command_id: str) -> CommandRecord | None:
        row = await self._row(
            select(commands).where(
                commands.c.command_id == command_id, commands.c.cluster_uid == cluster_uid
            )
        )
        return None if row is None else _record(row)

    async def of_operation(self, operation_uid: str) -> CommandRecord | None:
        return await self._one(
            select(commands).where(commands.c.operation_uid == operation_uid, _UNFINISHED)
        )

    async def unfinished_of_app(self, app_uid: str) -> Sequence[CommandRecord]:
        return await self._many(select(commands).where(commands.c.app_uid == app_uid, _UNFINISHED))

    async def unfinished_in_environment(self, environment_uid: str) -> Sequence[CommandRecord]:
        return await self._many(
            select(commands).where(commands.c.environment_uid == environment_uid, _UNFINISHED)
        )

    async def count_unfinished(self, cluster_uid: str) -> int:
        """Commands of a cluster that have not ended."""
        query = select(func.count()).where(commands.c.cluster_uid == cluster_uid, _UNFINISHED)
        return int(await self._connection.scalar(query) or 0)

    async def overdue(self, now: datetime, limit: int) -> Sequence[CommandRecord]:
        """Commands that no agent was given before their deadline."""
        return await self._many(
            select(commands)
            .where(commands.c.state == CommandState.QUEUED.value, commands.c.deadline < now)
            .limit(limit)
        )

    async def save_progress(self, command_id: str, epoch: int, version: int) -> None:
        await self._run(
            update(commands)
            .where(commands.c.command_id == command_id)
            .values(progress_epoch=epoch, progress_version=version)
        )

    async def request_cancel(self, command_id: str) -> None:
        await self._run(
            update(commands)
            .where(commands.c.command_id == command_id)
            .values(cancel_requested=True)
        )

    async def finish(self, outcome: CommandOutcome, now: datetime) -> bool:
        """Record how a command ended; False when it had ended before."""
        ended = await self._run(
            update(commands)
            .where(commands.c.command_id == outcome.command_id, _UNFINISHED)
            .values(
                state=CommandState.FINISHED.value,
                finish_time=now,
                code=int(outcome.code),
                reason=outcome.reason,
                message=outcome.message,
            )
        )
        return ended == 1

    async def note_result(self, command_id: str, now: datetime) -> None:
        """The agent has said the end of a command: it need not be asked to cancel it any more."""
        await self._run(
            update(commands)
            .where(commands.c.command_id == command_id, commands.c.result_time.is_(None))
            .values(result_time=now)
        )

    async def prune(self, finished_before: datetime) -> int:
        """Forget commands that ended long ago: a result said again of an unknown command is acknowledged and nothing else."""
        return await self._run(delete(commands).where(commands.c.finish_time < finished_before))

    async def _one(self, query: Select[Any]) -> CommandRecord | None:
        row = await self._row(query)
        return None if row is None else _record(row)

    async def _many(self, query: Select[Any]) -> Sequence[CommandRecord]:
        return [_record(row) for row in await self._rows(query.order_by(commands.c.seq))]

    async def _command(self, row: Row[Any]) -> Command:
        body: CommandBody = decode(_BODIES[row.kind], row.body)
        if isinstance(body, DeployApp):
            body = dataclasses.replace(
                body,
                compose_files=await self._revisions.compose_files(row.app_uid, body.revision),
                files=await self._revisions.files(row.app_uid, body.revision),
                sealed=await self._revisions.variables(row.app_uid, body.revision),
            )
        return Command(row.seq, row.command_id, row.cluster_uid, row.deadline, body)


def _stored(body: CommandBody) -> dict[str, Any]:
    if isinstance(body, DeployApp):
        body = dataclasses.replace(
            body, compose_files=(), files=(), variables={}, secret_variables=(), sealed=None
        )
    stored: dict[str, Any] = encode(body)
    return stored


def _record(row: Row[Any]) -> CommandRecord:
    return CommandRecord(
        seq=row.seq,
        command_id=row.command_id,
        cluster_uid=row.cluster_uid,
        kind=row.kind,
        state=CommandState(row.state),
        environment_uid=row.environment_uid,
        app_uid=row.app_uid,
        operation_uid=row.operation_uid,
        deployment_uid=row.deployment_uid,
        deadline=row.deadline,
        cancel_requested=row.cancel_requested,
        progress_epoch=row.progress_epoch,
        progress_version=row.progress_version,
    )
