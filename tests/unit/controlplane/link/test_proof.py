"""The proof of the agent's key."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from controlplane.domain.errors import CredentialsInvalid
from controlplane.link import proof

NONCE = bytes(range(32))
KEY = ec.generate_private_key(ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def sign(data: bytes) -> bytes:
    return KEY.sign(data, ec.ECDSA(hashes.SHA256()))


def test_the_keys_signature_over_this_nonce_is_taken() -> None:
    proof.check(public(KEY), NONCE, sign(b"skerry-link-v1" + NONCE))


@pytest.mark.parametrize(
    "signature",
    [
        sign(b"skerry-link-v1" + bytes(32)),
        sign(NONCE),
        sign(b"skerry-link-v2" + NONCE),
        b"",
        b"\x30\x00",
    ],
    # Signatures are random: as test ids they would differ between workers.
    ids=["other nonce", "no context", "other context", "empty", "not a signature"],
)
def test_any_other_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(CredentialsInvalid):
        proof.check(public(KEY), NONCE, signature)


def test_another_key_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(CredentialsInvalid):
        proof.check(public(other), NONCE, sign(b"skerry-link-v1" + NONCE))


def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(CredentialsInvalid, match="elliptic"):
        proof.check(public(ed25519.Ed25519PrivateKey.generate()), NONCE, b"")


def test_a_damaged_key_is_refused() -> None:
    with pytest.raises(CredentialsInvalid):
        proof.check(b"junk", NONCE, b"")
