"""A caller that is cancelled anywhere in a transaction leaves nothing behind that locks the others out."""

import asyncio
import random
from pathlib import Path

import pytest

from controlplane.domain.clock import SystemClock
from controlplane.domain.tokens import ApiToken, TokenKind
from controlplane.store.database import Store
from controlplane.store.migrations.run import migrate


async def write(store: Store, number: int) -> None:
    async with store.transaction() as tx:
        await tx.tokens.count()
        hashed = number.to_bytes(32, "big")
        await tx.tokens.add(
            ApiToken(
                f"uid{number}",
                "users/admin",
                TokenKind.PERSONAL,
                "name",
                hashed,
                tx.now,
                None,
                None,
            )
        )


@pytest.mark.parametrize("seed", range(3))
async def test_a_cancelled_transaction_holds_no_lock(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "skerry.db"
    migrate(path)
    store = Store(path, clock=SystemClock(), on_commit=lambda _topics: None)
    await store.open()
    rng = random.Random(seed)
    for number in range(60):
        task = asyncio.create_task(write(store, number))
        # Cancelled before, in the middle of, and behind its statements: whichever comes after so many turns of the loop.
        for _turn in range(rng.randrange(30)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        # A leaked lock would make this wait for SQLite's busy timeout, five seconds, and then fail.
        async with asyncio.timeout(4):
            await write(store, 1000 + number)
    await store.close()
