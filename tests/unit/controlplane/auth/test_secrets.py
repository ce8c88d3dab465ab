"""Token secrets are unguessable, recognisable and stored as a hash only."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from controlplane.auth import secrets


def test_each_secret_is_another_and_looks_like_one() -> None:
    made = {secrets.new_secret() for _ in range(200)}
    assert len(made) == 200
    assert all(secrets.is_secret(secret) and len(secret) == 47 for secret in made)


@given(st.text())
def test_only_secrets_look_like_one(text: str) -> None:
    assert not secrets.is_secret(text) or text.startswith("sky_")


def test_a_secret_with_something_behind_it_is_none() -> None:
    assert not secrets.is_secret(secrets.new_secret() + "\n")


def test_the_stored_form_is_the_sha256() -> None:
    secret = secrets.new_secret()
    assert secrets.hash_secret(secret) == hashlib.sha256(secret.encode()).digest()
