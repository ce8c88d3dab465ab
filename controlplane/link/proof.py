"""The agent's proof of its key: a signature over this connection's nonce. Used by `session`."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from skerry.wire.limits import SIGNATURE_CONTEXT

from controlplane.domain.errors import CredentialsInvalid


def check(public_key_der: bytes, nonce: bytes, signature: bytes) -> None:
    """Raises CredentialsInvalid unless the key signed this nonce for this protocol."""
    try:
        key = serialization.load_der_public_key(public_key_der)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise CredentialsInvalid("the certificate's key is not an elliptic curve key")
        key.verify(signature, SIGNATURE_CONTEXT + nonce, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError) as error:
        raise CredentialsInvalid(
            "the signature is not by the certificate's key: the agent's identity is damaged, or it is not its own"
        ) from error
