"""Names of capabilities: bounded, whatever a peer sends."""

from __future__ import annotations

from skerry.wire import capabilities


def test_names_are_sorted_and_kept_once_also_those_nobody_knows() -> None:
    assert capabilities.named(["z", "a", "z"]) == ("a", "z")


def test_what_is_kept_of_a_peer_is_bounded() -> None:
    kept = capabilities.named([f"{number:02}{'x' * 1000}" for number in range(1000)])

    assert len(kept) == 32
    assert {len(name) for name in kept} == {64}


def test_our_own_names_pass_unchanged() -> None:
    for own in (capabilities.OF_AGENT, capabilities.OF_CONTROL_PLANE):
        assert capabilities.named(own) == tuple(sorted(own))
