"""API token secrets: made once, shown once, stored only as a hash. Called by the authenticator and by `token create`."""

import hashlib
import re
import secrets

PREFIX = "sky_"
SETUP_PREFIX = "sks_"
DEVICE_PREFIX = "skd_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# 43 digits of base 62 hold 256 bits.
_DIGITS = 43
_SECRET = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_DIGITS}}}")


def new_secret(prefix: str = PREFIX) -> str:
    """`sky_` and 256 random bits in base 62; the prefix lets secret scanners find one that leaked."""
    number = secrets.randbits(256)
    digits = []
    for _ in range(_DIGITS):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return prefix + "".join(reversed(digits))


def is_secret(text: str) -> bool:
    """Whether this has the shape of a token; spares the database a look for what cannot be one."""
    return _SECRET.fullmatch(text) is not None


def hash_secret(secret: str) -> bytes:
    """What is stored. A plain SHA-256: a slow hash guards guessable passwords, and 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode()).digest()
