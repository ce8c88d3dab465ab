"""The join token goes there and back, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skerry.wire.join_token import JoinToken, JoinTokenError

TOKEN = JoinToken("cloud.example:7071", b"\x30\x82ca", bytes(range(32)), "clusters/lab")


def encode(**fields: object) -> str:
    known = {"a": "h:1", "ca": "AAAA", "s": "A" * 43, "c": "clusters/lab"}
    text = json.dumps({**known, **fields}).encode()
    return "skj1." + base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@given(
    ca=st.binary(min_size=1, max_size=2000),
    secret=st.binary(min_size=32, max_size=32),
    port=st.integers(1, 65535),
    host=st.sampled_from(["a", "cloud.example", "10.0.0.1", "[::1]", "[fe80::1]"]),
)
def test_decode_undoes_encode(ca: bytes, secret: bytes, port: int, host: str) -> None:
    token = JoinToken(f"{host}:{port}", ca, secret, "clusters/lab-2")
    assert JoinToken.decode(token.encode()) == token


@given(st.text(max_size=200))
def test_any_text_is_either_a_token_or_a_clear_error(text: str) -> None:
    for candidate in (text, "skj1." + text):
        with pytest.raises(JoinTokenError):
            JoinToken.decode(candidate)


def test_blanks_around_a_pasted_token_do_no_harm() -> None:
    assert JoinToken.decode(f"\n  {TOKEN.encode()} \n") == TOKEN


@pytest.mark.parametrize(
    "fields",
    [
        {"a": "no-port"},
        {"a": "host:0"},
        {"a": "host:65536"},
        {"a": "ho st:1"},
        {"s": "AAAA"},
        {"s": "*" * 43},
        {"ca": ""},
        {"c": "projects/lab"},
        {"c": "clusters/Lab"},
        {"c": 7},
        {"a": None},
    ],
)
def test_a_field_that_cannot_be_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(JoinTokenError):
        JoinToken.decode(encode(**fields))


def test_a_token_cut_short_is_refused() -> None:
    with pytest.raises(JoinTokenError, match="copy the whole"):
        JoinToken.decode(TOKEN.encode()[:-20])


def test_an_endless_token_is_refused() -> None:
    with pytest.raises(JoinTokenError, match="at most"):
        JoinToken.decode("skj1." + "A" * 100_000)


def test_the_secret_is_not_printed() -> None:
    assert TOKEN.secret_text not in repr(TOKEN)
    assert repr(TOKEN.secret) not in repr(TOKEN)
