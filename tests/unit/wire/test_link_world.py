"""The whole link through seeded schedules, and each of its promises broken by turning off what keeps it.

10,000 schedules here; `scripts/simulate 1000000` for a million. A failing seed is repeated with
`scripts/simulate --seed N`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.wire.link_world import ALL_ON, Switches, Violation, World, run

CHUNK = 500


@pytest.mark.parametrize("first", range(0, 10_000, CHUNK))
def test_what_must_hold_holds(first: int) -> None:
    for seed in range(first, first + CHUNK):
        try:
            run(seed)
        except Violation as violation:
            pytest.fail(f"seed {seed}: {violation}")


@pytest.mark.parametrize(
    ("mechanism", "promise"),
    [
        ("credit", "in flight stays within the credit"),
        ("offsets", "a prefix of what was sent|each byte once"),
        ("pool", "memory is bounded"),
        ("lanes", "control waits behind one message at most"),
        ("sync", "everything comes to its end"),
        ("silence", "everything comes to its end"),
        ("claims", "one connection of an agent is valid"),
        ("journal_first", "what was acknowledged is on disk"),
        ("stored_first", "a result is forgotten when it is stored"),
        ("dedupe", "not begun again|never undoes a newer one"),
        ("order", "never undoes a newer one"),
        ("resend", "everything comes to its end"),
        ("replay", "a pipe loses nothing|each byte once|nothing is shown twice"),
        ("input_replay", "input is taken once|everything comes to its end"),
    ],
)
def test_each_promise_breaks_without_its_mechanism(mechanism: str, promise: str) -> None:
    switches = replace(ALL_ON, **{mechanism: False})
    with pytest.raises(Violation, match=promise):
        run_many(range(1_000), switches)


def run_many(seeds: range, switches: Switches) -> None:
    for seed in seeds:
        run(seed, switches)


def test_a_poison_command_blocks_for_ever_without_the_limit_of_attempts() -> None:
    def poisoned(switches: Switches) -> World:
        world = World(1, switches)
        world.add_command()
        world.cluster.poison.update((1,))
        world.add_command()
        world.cluster.poison.discard(2)
        return world

    world = poisoned(ALL_ON)
    world.settle()
    assert world.database.results[1].code == 13
    assert world.database.results[2].code == 0
    with pytest.raises(Violation, match="everything comes to its end"):
        poisoned(replace(ALL_ON, attempts=False)).settle()


def test_an_older_connection_overwrites_reports_without_the_fence() -> None:
    def overlapped(switches: Switches) -> World:
        """Two connections, each with a report that waits for the database; the older one is carried last."""
        world = World(1, switches)
        for value in ("old", "new"):
            world.dial()
            while not world.agent.up:
                world.move_all()
                for session in world.plane.sessions:
                    if session.todo:
                        session.todo.pop(0)()
            world.agent.report("k", value)
            while not world.plane.sessions[-1].outbox.reports:  # type: ignore[union-attr]
                world.move_all()
            if value == "old":
                world.agent.end.wire.die()  # type: ignore[union-attr]
                world.agent.end.alive = False  # type: ignore[union-attr]
                world.agent.lost(world.agent.end)  # type: ignore[arg-type]
        older, newer = world.plane.sessions
        for session in (newer, older):
            (report,) = session.outbox.reports.values()  # type: ignore[union-attr]
            world.plane.carry_report(session, report)
        return world

    assert overlapped(ALL_ON).database.reports["k"][2] == "new"
    with pytest.raises(Violation, match="an older connection never overwrites"):
        overlapped(replace(ALL_ON, fencing=False))
