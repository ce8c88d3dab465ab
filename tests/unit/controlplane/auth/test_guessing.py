"""Guessing gets slower with each wrong try, for an account from anywhere and for an address at any account."""

import pytest

from controlplane.auth.guessing import ACCOUNT_FREE, ADDRESS_FREE, GuessGuard
from controlplane.domain.errors import TooManyAttempts
from tests.fakes.clock import FakeClock


def test_an_account_is_locked_from_every_address() -> None:
    clock = FakeClock()
    guard = GuessGuard(clock)
    for number in range(ACCOUNT_FREE):
        guard.check("anne", f"192.0.2.{number}")
        guard.wrong("anne", f"192.0.2.{number}")
    with pytest.raises(TooManyAttempts) as refusal:
        guard.check("anne", "198.51.100.1")
    assert refusal.value.retry_after == 30
    guard.check("bob", "198.51.100.1")
    clock.advance(30)
    guard.check("anne", "198.51.100.1")
    guard.wrong("anne", "198.51.100.1")
    with pytest.raises(TooManyAttempts) as refusal:
        guard.check("anne", "198.51.100.1")
    assert refusal.value.retry_after == 60


def test_an_address_is_locked_for_every_account() -> None:
    guard = GuessGuard(FakeClock())
    for number in range(ADDRESS_FREE):
        guard.check(f"user-{number}", "192.0.2.1")
        guard.wrong(f"user-{number}", "192.0.2.1")
        # The guesser's own account does not clear it.
        guard.right("guesser")
    with pytest.raises(TooManyAttempts):
        guard.check("another", "192.0.2.1")
    guard.check("another", "192.0.2.2")


def test_waits_end_and_are_forgotten() -> None:
    clock = FakeClock()
    guard = GuessGuard(clock)
    for _ in range(40):
        guard.wrong("anne", "192.0.2.1")
    clock.advance(900)
    guard.check("anne", "192.0.2.1")
    clock.advance(3600)
    guard.wrong("anne", "192.0.2.1")
    guard.check("anne", "192.0.2.1")


def test_the_right_password_forgives_the_account() -> None:
    guard = GuessGuard(FakeClock())
    for _ in range(ACCOUNT_FREE - 1):
        guard.wrong("anne", "192.0.2.1")
    guard.right("anne")
    guard.wrong("anne", "192.0.2.1")
    guard.check("anne", "192.0.2.1")
