"""Harmless repeats: an answer is kept in the transaction of its effect and given again. Used by every mutation."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from controlplane.domain.requests import IdempotencyKey
from controlplane.store.transaction import Transaction

T = TypeVar("T")


async def once(
    tx: Transaction, key: IdempotencyKey | None, wanted: type[T], work: Callable[[], Awaitable[T]]
) -> T:
    """The answer of the first call with this key, or of `work` when this is the first or there is no key.

    Raises RequestIdReused when the key came with another request before.
    """
    if key is None:
        return await work()
    answer = await tx.idempotency.answer(key, wanted)
    if answer is None:
        answer = await work()
        await tx.idempotency.remember(key, answer, tx.now)
    return answer
