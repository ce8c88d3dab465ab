"""Keys that detach: what is typed reaches the command unless it completes the sequence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skerry.cli.detach_keys import DEFAULT, DetachKeys, parse
from skerry.cli.exit_codes import UsageError

SEQUENCES = st.lists(st.sampled_from(b"ab"), min_size=1, max_size=4).map(bytes)


def test_dockers_keys_are_the_default() -> None:
    assert parse(DEFAULT) == b"\x10\x11"


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", b""), ("ctrl-]", b"\x1d"), ("ctrl-A,d", b"\x01d"), ("~,.", b"~."), ("ctrl-@", b"\0")],
)
def test_keys_are_read(text: str, keys: bytes) -> None:
    assert parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "alt-x", "ctrl-p,", "é"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no key"):
        parse(text)


def test_a_key_that_may_begin_the_sequence_waits_for_the_next() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.feed(b"ls\x10") == (b"ls", False)
    assert keys.feed(b"x") == (b"\x10x", False)
    assert keys.feed(b"\x10\x10") == (b"\x10", False)
    assert keys.feed(b"\x11dropped") == (b"", True)


def test_without_keys_everything_passes() -> None:
    assert DetachKeys(b"").feed(b"\x10\x11") == (b"\x10\x11", False)


@given(SEQUENCES, st.lists(st.lists(st.sampled_from(b"ab"), max_size=6).map(bytes), max_size=12))
def test_the_first_place_of_the_sequence_detaches_and_all_before_it_is_passed(
    sequence: bytes, pieces: list[bytes]
) -> None:
    keys = DetachKeys(sequence)
    passed, left = b"", False
    for piece in pieces:
        some, left = keys.feed(piece)
        passed += some
        if left:
            break
    whole = b"".join(pieces)
    place = whole.find(sequence)
    assert left == (place >= 0)
    if left:
        assert passed == whole[:place]
    else:
        # What is held back is less than the sequence, and could begin it.
        held = whole[len(passed) :]
        assert whole.startswith(passed)
        assert sequence.startswith(held)
        assert len(held) < len(sequence)
