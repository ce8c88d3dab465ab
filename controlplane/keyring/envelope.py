"""One value in its envelope: encrypted with a data key of its own, which is encrypted with a key of the keyring.

Both are AES-256-GCM. What the value is bound to (its place and name) and the id of the outer key are authenticated with it, so a
box that is moved to another row, or said to be another key's, does not open. Pure; called by `keyring`.

    version (1) | nonce (12) | data key, encrypted (32 + 16) | nonce (12) | value, encrypted (n + 16)
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE, _TAG = 12, 16
_WRAPPED = len(_VERSION) + _NONCE + KEY_BYTES + _TAG


class Tampered(Exception):
    """The box is not what was made with this key for this place."""


def seal(key: bytes, key_id: str, plaintext: bytes, bound_to: str) -> bytes:
    """The value in an envelope."""
    data_key = AESGCM.generate_key(KEY_BYTES * 8)
    outer, inner = os.urandom(_NONCE), os.urandom(_NONCE)
    bound = _bound(key_id, bound_to)
    wrapped = AESGCM(key).encrypt(outer, data_key, b"key\0" + bound)
    return _VERSION + outer + wrapped + inner + AESGCM(data_key).encrypt(inner, plaintext, bound)


def open_(key: bytes, key_id: str, box: bytes, bound_to: str) -> bytes:
    """The value out of its envelope. Raises Tampered."""
    if len(box) < _WRAPPED + _NONCE + _TAG or not box.startswith(_VERSION):
        raise Tampered
    bound = _bound(key_id, bound_to)
    outer, wrapped = box[1 : 1 + _NONCE], box[1 + _NONCE : _WRAPPED]
    inner, content = box[_WRAPPED : _WRAPPED + _NONCE], box[_WRAPPED + _NONCE :]
    try:
        data_key = AESGCM(key).decrypt(outer, wrapped, b"key\0" + bound)
        return AESGCM(data_key).decrypt(inner, content, bound)
    except InvalidTag as error:
        raise Tampered from error


def _bound(key_id: str, bound_to: str) -> bytes:
    return f"{key_id}\0{bound_to}".encode()
