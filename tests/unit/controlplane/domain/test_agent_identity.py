"""Generations of certificates under crashes, lost messages and copies: an honest agent is never locked out, a copy always is found.

The agents here keep the one rule of the real one: a certificate is used, and said to be stored, only from the disk.
"""

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controlplane.domain import agent_identity
from controlplane.domain.agent_identity import AgentRecord, IdentityState, Verdict

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LIFE = timedelta(hours=48)


def joined(before: AgentRecord | None = None) -> AgentRecord:
    return agent_identity.joined(
        "uid", before, fingerprint=b"f", authority=b"old", now=NOW, expire_time=NOW + LIFE
    )


def given(record: AgentRecord, key: bytes = b"key") -> AgentRecord:
    return record.given(key, b"cert", authority=b"new", now=NOW, expire_time=NOW + LIFE)


@dataclass
class Agent:
    """`disk` survives a crash, `memory` is what it uses, `received` came and is not stored yet."""

    disk: int
    memory: int
    received: int | None = None


class Identities(RuleBasedStateMachine):
    """One record, one agent, and copies of it."""

    @initialize()
    def join(self) -> None:
        self.record = joined()
        self.agents = [Agent(1, 1)]
        self.copied = False
        self.live: int | None = None
        self.refused = False

    def agent(self, index: int) -> Agent:
        return self.agents[index % len(self.agents)]

    @rule(index=st.integers(0, 2))
    def connect(self, index: int) -> None:
        index %= len(self.agents)
        agent = self.agents[index]
        before = self.record
        verdict = before.judge(agent.memory)
        if verdict is Verdict.COPIED:
            assert agent.memory < before.used_generation
            self.record = before.locked(agent.memory)
            self.live = None
        elif verdict is Verdict.ADMIT:
            self.record = before.used(agent.memory, b"a")
            self.live = index
            assert self.record.used_generation == agent.memory

    @precondition(lambda self: self.live is not None)
    @rule(arrives=st.booleans())
    def renew(self, arrives: bool) -> None:
        assert self.live is not None
        agent = self.agents[self.live]
        self.record = given(self.record)
        if arrives:
            agent.received = self.record.generation

    @rule(index=st.integers(0, 2), rest=st.sampled_from(["crash", "confirm lost", "confirm"]))
    def store(self, index: int, rest: str) -> None:
        agent = self.agent(index)
        if agent.received is None:
            return
        agent.disk, agent.received = agent.received, None
        if rest == "crash":
            agent.memory = agent.disk
            return
        agent.memory = agent.disk
        here = self.live is not None and self.agents[self.live] is agent
        if rest == "confirm" and here and agent.disk == self.record.generation:
            self.record = self.record.used(agent.disk, self.record.authority)

    @rule(index=st.integers(0, 2))
    def crash(self, index: int) -> None:
        agent = self.agent(index)
        agent.memory, agent.received = agent.disk, None

    @precondition(lambda self: len(self.agents) < 3)
    @rule(index=st.integers(0, 2))
    def copy(self, index: int) -> None:
        disk = self.agent(index).disk
        self.agents.append(Agent(disk, disk))
        self.copied = True

    @precondition(lambda self: self.record.state is IdentityState.LOCKED)
    @rule()
    def unlock(self) -> None:
        self.record = self.record.rotated()
        assert self.record.renewal_pending

    @invariant()
    def an_honest_agent_is_never_locked(self) -> None:
        if not self.copied:
            assert self.record.state is IdentityState.ACTIVE
            assert self.record.judge(self.agents[0].memory) is Verdict.ADMIT
            assert self.record.used_generation <= self.agents[0].disk

    @invariant()
    def whoever_is_behind_is_found(self) -> None:
        for agent in self.agents:
            if self.record.state is IdentityState.ACTIVE:
                behind = agent.memory < self.record.used_generation
                assert (self.record.judge(agent.memory) is Verdict.COPIED) == behind


Identities.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestIdentities = Identities.TestCase


def test_a_lost_answer_leaves_the_certificate_in_use_valid() -> None:
    record = given(given(joined()))
    assert [record.judge(n) for n in (1, 2, 3)] == [Verdict.ADMIT] * 3
    used = record.used(3, b"new")
    assert [used.judge(n) for n in (1, 2, 3)] == [Verdict.COPIED, Verdict.COPIED, Verdict.ADMIT]
    assert used.pending is None


def test_certificates_of_an_earlier_join_are_replaced_and_no_copies() -> None:
    record = joined(given(joined()))
    assert record.first_generation == 3
    assert record.judge(2) is Verdict.REPLACED


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_revoked_is_revoked_until_an_agent_joins(generation: int) -> None:
    revoked = given(given(joined())).revoked("gone")
    assert revoked.judge(generation) is Verdict.REVOKED
    again = joined(revoked)
    assert again.state is IdentityState.ACTIVE
    assert again.judge(4) is Verdict.ADMIT
    assert again.judge(generation) is Verdict.REPLACED


def test_the_message_of_a_lock_says_both_ways_out() -> None:
    locked = given(joined()).used(2, b"new").locked(1)
    assert "skerry cluster rotate" in locked.message
    assert "skerry cluster join-token" in locked.message
    assert locked.judge(2) is Verdict.LOCKED
    unlocked = locked.rotated()
    assert unlocked.judge(1) is Verdict.ADMIT
    assert unlocked.renewal_pending
    assert not given(unlocked).used(3, b"new").renewal_pending


def test_a_certificate_without_a_generation_is_known_by_the_join() -> None:
    record = dataclasses.replace(joined(), first_generation=4, used_generation=4, generation=4)
    assert record.generation_of(0, b"f") == 4
    assert record.generation_of(0, b"other") == 0
    assert record.judge(0) is Verdict.REPLACED


def test_a_generation_from_before_a_restored_backup_is_taken_over() -> None:
    record = joined().used(7, b"new")
    assert (record.generation, record.used_generation) == (7, 7)
    assert given(record).generation == 8
