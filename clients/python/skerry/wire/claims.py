"""Which connection of an agent is the valid one: the one with the highest epoch, and no other.

Pure. The registry of the control plane keeps its live sessions in one of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Claim(Generic[S]):
    """What a claim came to: whether it holds, and who must be sent away for it, if anybody."""

    holds: bool
    superseded: S | None


class Claims(Generic[S]):
    """One holder for each agent."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, S]] = {}

    def claim(self, agent: str, epoch: int, session: S) -> Claim[S]:
        """Claim an agent. An older epoch never takes the place of a newer one: it is superseded itself."""
        held = self._held.get(agent)
        if held is not None and held[0] > epoch:
            return Claim(holds=False, superseded=session)
        self._held[agent] = (epoch, session)
        return Claim(holds=True, superseded=held[1] if held else None)

    def release(self, agent: str, session: S) -> None:
        """The session has ended; nothing happens when another one holds the agent."""
        held = self._held.get(agent)
        if held is not None and held[1] is session:
            del self._held[agent]

    def get(self, agent: str) -> S | None:
        """Who holds it."""
        held = self._held.get(agent)
        return held[1] if held else None

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[S]:
        return iter([session for _, session in self._held.values()])

    def __contains__(self, agent: object) -> bool:
        return agent in self._held
