"""What has to go when its time has come: old answers, changes, commands and join tokens; commands that nobody took in time.

One for each process, run beside the servers.
"""

from datetime import timedelta

import structlog

from controlplane.domain.clock import Clock
from controlplane.domain.commands import CommandOutcome
from controlplane.domain.errors import StatusCode, StorageUnavailable
from controlplane.services.outcomes import apply_outcome
from controlplane.store.database import Store

_log = structlog.get_logger(__name__)

_ROUND_SECONDS = 60.0
# The window in which a request_id makes a repeat harmless; the contract promises it (AIP-155).
IDEMPOTENCY_WINDOW = timedelta(hours=24)
# How long a watcher may be away and still resume.
CHANGE_RETENTION = timedelta(hours=1)
# How long an agent may be away and still say the result of a command that then changes nothing.
COMMAND_RETENTION = timedelta(days=30)
# A token that was used or has expired still gets its own error for a while.
JOIN_TOKEN_RETENTION = timedelta(days=30)
# Ended sessions are listed for a while.
SESSION_RETENTION = timedelta(days=30)
_OVERDUE_AT_A_TIME = 100


class Housekeeping:
    """Tidies the database up."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """A round a minute. Ends by cancellation only; a round that the database refuses is made up for by the next."""
        while True:
            try:
                await self.round()
            except StorageUnavailable as error:
                _log.warning("housekeeping_postponed", error=error.message)
            await self._clock.sleep(_ROUND_SECONDS)

    async def round(self) -> None:
        """One round."""
        await self._end_overdue()
        async with self._store.transaction(durable=False) as tx:
            pruned = {
                "answers": await tx.idempotency.prune(tx.now - IDEMPOTENCY_WINDOW),
                "changes": await tx.changes.prune(tx.now - CHANGE_RETENTION),
                "commands": await tx.commands.prune(tx.now - COMMAND_RETENTION),
                "sessions": await tx.tokens.prune(tx.now - SESSION_RETENTION),
                "device_logins": await tx.device_logins.prune(tx.now),
                "setup_codes": await tx.setup_codes.prune(tx.now),
                "join_tokens": await tx.join_tokens.prune(tx.now - JOIN_TOKEN_RETENTION),
            }
        if any(pruned.values()):
            _log.info("housekeeping_done", **pruned)

    async def _end_overdue(self) -> None:
        while True:
            async with self._store.transaction() as tx:
                overdue = await tx.commands.overdue(tx.now, _OVERDUE_AT_A_TIME)
                for record in overdue:
                    message = "the agent did not come back in time"
                    outcome = CommandOutcome(
                        record.seq,
                        record.command_id,
                        StatusCode.DEADLINE_EXCEEDED,
                        "DEADLINE_EXCEEDED",
                        message,
                        None,
                    )
                    await apply_outcome(tx, record, outcome)
            if len(overdue) < _OVERDUE_AT_A_TIME:
                return
