"""The way from a decision to an agent: commands written with what they are for, and taken back.

The transaction that decides writes the command too; the link is woken once it is durable. Used by every service that wants
something done in a cluster.
"""

from controlplane.domain.commands import (
    CommandBody,
    CommandOutcome,
    CommandRecord,
    CommandState,
)
from controlplane.domain.errors import StatusCode
from controlplane.domain.ids import IdSource
from controlplane.services.outcomes import apply_outcome
from controlplane.services.ports import Agents
from controlplane.store.transaction import Transaction


class Outbox:
    """Puts commands in and takes them back."""

    def __init__(self, *, ids: IdSource, agents: Agents) -> None:
        self._ids = ids
        self._agents = agents

    async def put(
        self,
        tx: Transaction,
        cluster_uid: str,
        body: CommandBody,
        *,
        environment_uid: str,
        operation_uid: str,
        app_uid: str = "",
        deployment_uid: str = "",
    ) -> None:
        """Queue a command. It waits for the agent as long as it takes."""
        await tx.commands.add(
            self._ids.new(),
            cluster_uid,
            body,
            environment_uid=environment_uid,
            operation_uid=operation_uid,
            app_uid=app_uid,
            deployment_uid=deployment_uid,
            now=tx.now,
        )
        tx.after_commit(lambda: self._agents.wake(cluster_uid))

    async def ask_to_stop(self, tx: Transaction, record: CommandRecord) -> None:
        """Somebody wants this command to stop: one that no agent has seen ends here, another one when its agent says so."""
        if record.state is CommandState.QUEUED:
            await self.end(tx, record, reason="CANCELLED", message="cancelled before it began")
        else:
            await self._cancel(tx, record)

    async def end(
        self, tx: Transaction, record: CommandRecord, *, reason: str, message: str
    ) -> None:
        """End a command now, as cancelled, whatever its agent does; one that may work on it is asked to stop."""
        if record.state is not CommandState.QUEUED:
            await self._cancel(tx, record)
        outcome = CommandOutcome(
            record.seq, record.command_id, StatusCode.CANCELLED, reason, message, None
        )
        await apply_outcome(tx, record, outcome)

    async def _cancel(self, tx: Transaction, record: CommandRecord) -> None:
        await tx.commands.request_cancel(record.command_id)
        tx.after_commit(lambda: self._agents.cancel(record.cluster_uid, record.seq))
