"""What happens on a link, put into the database: the agent's side of every other service.

`controlplane.link` calls this; it never touches the store itself. Everything here may be called twice with the same
content, by a connection that was superseded meanwhile, or after a restart of the control plane, and each effect still
happens once.
"""

import dataclasses
from collections.abc import Sequence
from datetime import timedelta

import structlog

from controlplane.domain.clock import Clock
from controlplane.domain.clusters import AgentIdentity
from controlplane.domain.commands import (
    Command,
    CommandOutcome,
    CommandProgress,
    CommandState,
    DeployApp,
)
from controlplane.domain.errors import AgentRefused, SecretUnavailable, StorageUnavailable
from controlplane.domain.names import AppName, RevisionName
from controlplane.domain.reports import Report
from controlplane.domain.sealing import Cipher
from controlplane.services.agent_identities import AgentIdentities, Renewal
from controlplane.services.outcomes import apply_outcome
from controlplane.services.presence import Presence
from controlplane.services.progress import apply_acknowledgement, apply_progress
from controlplane.services.reports import apply_report
from controlplane.services.snapshots import Snapshots
from controlplane.store.database import Store

_log = structlog.get_logger(__name__)


class AgentSessionService:
    """Connections, commands and reports of agents."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        presence: Presence,
        identities: AgentIdentities,
        cipher: Cipher,
    ) -> None:
        self._store = store
        self._clock = clock
        self._presence = presence
        self._identities = identities
        self._snapshots = Snapshots(cipher)

    async def authenticate(self, certificate_der: bytes) -> AgentIdentity:
        """Who this certificate belongs to; the caller must still check the proof of its key.

        Raises CredentialsInvalid when it is not from this CA or has expired, AgentRefused when it is not to come back.
        """
        return await self._identities.identify(certificate_der)

    async def connected(self, identity: AgentIdentity, *, agent_version: str, boot_id: str) -> int:
        """Record a new connection and return its epoch, higher than that of every connection of this agent before.

        The proof of the identity's key must have been checked. Raises AgentRefused when the identity is not valid any more,
        or when this shows that there is a copy of it: then the connection that is up ends, too.
        """
        epoch: int | None = None
        async with self._store.transaction(durable=False) as tx:
            refusal = await self._identities.admit(tx, identity)
            if refusal is None:
                epoch = await tx.clusters.begin_connection(
                    identity.cluster_uid,
                    agent_version=agent_version[:100],
                    boot_id=boot_id[:100],
                    now=tx.now,
                )
            if epoch is not None:
                live = epoch
                await tx.clusters.note_connection_change(identity.cluster_uid)
                tx.after_commit(lambda: self._presence.connected(identity.cluster_uid, live))
        if refusal is not None:
            await self._identities.refused(identity, refusal)
            raise refusal
        if epoch is None:
            raise AgentRefused(f"{identity.cluster} was deleted")
        return epoch

    async def renew(self, identity: AgentIdentity, epoch: int, csr_der: bytes) -> Renewal | None:
        """The agent's next certificate; None for a superseded connection. Raises InvalidField, AgentRefused."""
        return await self._identities.renew(identity, epoch, csr_der)

    async def certificate_stored(self, cluster_uid: str, epoch: int, generation: int) -> None:
        """The agent has this certificate on disk."""
        await self._identities.stored(cluster_uid, epoch, generation)

    async def renewal_reason(self, cluster_uid: str) -> str:
        """Why the agent is to renew at once, empty when it is not: ask after each connect."""
        return await self._identities.renewal_reason(cluster_uid)

    def seen(self, cluster_uid: str, epoch: int, round_trip: timedelta | None) -> None:
        """The agent gave a sign of life. Cheap: memory only, written to the database now and then."""
        self._presence.seen(cluster_uid, epoch, round_trip)

    async def disconnected(self, cluster_uid: str, epoch: int, reason: str) -> None:
        """The connection ended, for a reason of one word; nothing happens when a newer one took over."""
        row = self._presence.disconnected(cluster_uid, epoch, reason)
        if row is None:
            return
        try:
            async with self._store.transaction(durable=False) as tx:
                await tx.clusters.save_presence([row])
                await tx.clusters.note_connection_change(cluster_uid)
                tx.after_commit(lambda: self._presence.announced(cluster_uid))
        except StorageUnavailable as error:
            # The state is right already, it follows from memory; `Presence.run` goes on trying to tell the watchers.
            _log.warning("disconnect_not_written", cluster_uid=cluster_uid, error=error.message)

    async def pending_commands(self, cluster_uid: str, after_seq: int) -> Sequence[Command]:
        """Commands behind `after_seq` that have not ended, by sequence number; they are recorded as handed to the link.

        `after_seq` is the higher of what the agent's Hello said and what was sent on this connection: what lies behind it is
        not in the agent's journal. A deploy whose variables cannot be decrypted ends here, and the agent never hears of it.
        """
        async with self._store.transaction() as tx:
            commands = await tx.commands.take(cluster_uid, after_seq)
        opened = []
        for command in commands:
            try:
                opened.append(self._opened(command))
            except SecretUnavailable as error:
                outcome = CommandOutcome(
                    seq=command.seq,
                    command_id=command.command_id,
                    code=error.code,
                    reason=error.reason,
                    message=error.message,
                    deploy=None,
                )
                await self.finished(cluster_uid, 0, outcome)
        return opened

    def _opened(self, command: Command) -> Command:
        """The command as it is sent. Raises SecretUnavailable."""
        body = command.body
        if not isinstance(body, DeployApp) or body.sealed is None:
            return command
        place = body.environment
        app = AppName(place.organization, place.project, place.environment, body.app)
        what = str(RevisionName(app, body.revision))
        variables = self._snapshots.open(body.sealed, body.app_uid, body.revision, what)
        return dataclasses.replace(
            command,
            body=dataclasses.replace(
                body,
                variables=variables.values,
                secret_variables=variables.secrets,
                sealed=None,
            ),
        )

    async def pending_cancels(self, cluster_uid: str) -> Sequence[int]:
        """Sequence numbers of commands to be cancelled whose end the agent has not said: send CommandCancel for each.

        Ask after each connect, behind resending commands: a cancel is not kept for an agent that is away.
        """
        async with self._store.reading() as tx:
            return await tx.commands.cancels(cluster_uid)

    async def acknowledged(self, cluster_uid: str, epoch: int, seq: int) -> None:
        """Every command up to `seq` is in the agent's journal: true whichever connection said it, so `epoch` only goes to the log."""
        async with self._store.transaction(durable=False) as tx:
            news = await apply_acknowledgement(tx, cluster_uid, seq)
        if news:
            _log.info("commands_journalled", cluster_uid=cluster_uid, epoch=epoch, seq=seq)

    async def progressed(self, cluster_uid: str, epoch: int, progress: CommandProgress) -> None:
        """A command got somewhere. Stale, repeated and unknown progress changes nothing."""
        async with self._store.transaction(durable=False) as tx:
            record = await tx.commands.get(cluster_uid, progress.command_id)
            if record is None or record.state is CommandState.FINISHED:
                return
            if (epoch, progress.version) <= (record.progress_epoch, record.progress_version):
                return
            await apply_progress(tx, record, epoch, progress)

    async def finished(self, cluster_uid: str, epoch: int, outcome: CommandOutcome) -> None:
        """A command ended. After this returns the result is in the database: send ResultAck.

        A result is a fact about the command, whichever connection brings it. Raises StorageUnavailable when it could not be
        written: send no ResultAck, the agent says it again.
        """
        async with self._store.transaction() as tx:
            record = await tx.commands.get(cluster_uid, outcome.command_id)
            if record is not None:
                await tx.commands.note_result(record.command_id, tx.now)
                news = await apply_outcome(tx, record, outcome)
        if record is None:
            _log.warning(
                "result_of_unknown_command",
                cluster_uid=cluster_uid,
                epoch=epoch,
                command_id=outcome.command_id,
            )
        elif news:
            _log.info(
                "command_finished",
                cluster_uid=cluster_uid,
                epoch=epoch,
                command_id=outcome.command_id,
                kind=record.kind,
                code=outcome.code.name,
                reason=outcome.reason,
            )

    async def reported(self, cluster_uid: str, epoch: int, report: Report) -> bool:
        """Something is so now. True when it is recorded (send ReportAck), False for a superseded connection (send none)."""
        async with self._store.transaction() as tx:
            cluster = await tx.clusters.get_by_uid(cluster_uid)
            if cluster is None or cluster.epoch != epoch:
                return False
            if await tx.clusters.accept_report(cluster_uid, report.key, epoch, report.version):
                await apply_report(tx, cluster, report)
        return True
