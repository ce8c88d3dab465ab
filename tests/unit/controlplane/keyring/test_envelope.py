"""An envelope opens for what it was made for, and for nothing else."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.keyring import envelope
from controlplane.keyring.envelope import KEY_BYTES, Tampered

KEYS = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


@given(key=KEYS, plaintext=st.binary(max_size=300), bound_to=st.text(max_size=40))
def test_what_is_sealed_opens(key: bytes, plaintext: bytes, bound_to: str) -> None:
    box = envelope.seal(key, "k1", plaintext, bound_to)
    assert envelope.open_(key, "k1", box, bound_to) == plaintext
    assert len(plaintext) < 4 or plaintext not in box
    assert box != envelope.seal(key, "k1", plaintext, bound_to)


@settings(max_examples=300)
@given(
    key=KEYS, plaintext=st.binary(max_size=60), at=st.integers(min_value=0), bit=st.integers(0, 7)
)
def test_a_changed_bit_anywhere_shows(key: bytes, plaintext: bytes, at: int, bit: int) -> None:
    box = bytearray(envelope.seal(key, "k1", plaintext, "here"))
    box[at % len(box)] ^= 1 << bit
    with pytest.raises(Tampered):
        envelope.open_(key, "k1", bytes(box), "here")


@given(key=KEYS, plaintext=st.binary(max_size=60), length=st.integers(min_value=0))
def test_a_cut_box_shows(key: bytes, plaintext: bytes, length: int) -> None:
    box = envelope.seal(key, "k1", plaintext, "here")
    with pytest.raises(Tampered):
        envelope.open_(key, "k1", box[: length % len(box)], "here")


@given(places=st.lists(st.text(max_size=20), min_size=2, max_size=2, unique=True))
def test_a_box_does_not_open_in_another_place(places: list[str]) -> None:
    key = os.urandom(KEY_BYTES)
    box = envelope.seal(key, "k1", b"value", places[0])
    with pytest.raises(Tampered):
        envelope.open_(key, "k1", box, places[1])


def test_another_key_or_another_name_of_it_does_not_open() -> None:
    key = os.urandom(KEY_BYTES)
    box = envelope.seal(key, "k1", b"value", "here")
    for wrong, name in ((os.urandom(KEY_BYTES), "k1"), (key, "k2")):
        with pytest.raises(Tampered):
            envelope.open_(wrong, name, box, "here")


def test_a_data_key_of_another_box_does_not_open() -> None:
    key = os.urandom(KEY_BYTES)
    one, two = (envelope.seal(key, "k1", value, "here") for value in (b"value", b"other"))
    with pytest.raises(Tampered):
        envelope.open_(key, "k1", one[:61] + two[61:], "here")
