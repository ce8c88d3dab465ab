"""The join token: everything a new agent needs, in one string an operator can paste.

Made by the control plane, read by the agent's enrolment. It carries the control plane's CA, so that
the very first connection is already verified and the agent never trusts anything else.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass

_PREFIX = "skj1."
_MAX_CHARS = 16_384  # a token is pasted by people; anything longer is not one
_SECRET_BYTES = 32
_ADDRESS = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):([0-9]{1,5})$")
_CLUSTER = re.compile(r"^clusters/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")


class JoinTokenError(ValueError):
    """The string is not a join token. The message says what is wrong, never what the token holds."""


@dataclass(frozen=True, slots=True)
class JoinToken:
    """`address` is `host:port` of the agent listener, `ca_der` its CA, `secret` the single-use part
    (32 random bytes; the control plane keeps its SHA-256 only), `cluster` is `clusters/{cluster}`."""

    address: str
    ca_der: bytes
    secret: bytes
    cluster: str

    def __repr__(self) -> str:
        return f"JoinToken(address={self.address!r}, cluster={self.cluster!r})"

    @property
    def secret_text(self) -> str:
        """The secret as `EnrollRequest.token` carries it: base64url without padding."""
        return _b64(self.secret)

    def encode(self) -> str:
        """The string to paste."""
        fields = {
            "a": self.address,
            "ca": _b64(self.ca_der),
            "s": self.secret_text,
            "c": self.cluster,
        }
        return _PREFIX + _b64(json.dumps(fields, separators=(",", ":")).encode())

    @classmethod
    def decode(cls, text: str) -> JoinToken:
        """Read a token back. Raises `JoinTokenError` for anything that `encode` did not make."""
        text = text.strip()
        if not text.startswith(_PREFIX):
            raise JoinTokenError(
                f"a join token begins with {_PREFIX!r}; make one with `skerry cluster join-token`"
            )
        if len(text) > _MAX_CHARS:
            raise JoinTokenError(f"a join token has at most {_MAX_CHARS} characters")
        try:
            fields = json.loads(_unb64(text[len(_PREFIX) :]))
        except (ValueError, RecursionError) as error:
            raise JoinTokenError("the join token is damaged; copy the whole of it") from error
        if not isinstance(fields, dict) or not all(
            isinstance(fields.get(key), str) for key in ("a", "ca", "s", "c")
        ):
            raise JoinTokenError("the join token lacks a field; copy the whole of it")
        try:
            ca_der, secret = _unb64(fields["ca"]), _unb64(fields["s"])
        except ValueError as error:
            raise JoinTokenError("the join token is damaged; copy the whole of it") from error
        address = _ADDRESS.match(fields["a"])
        if address is None or not 0 < int(address.group(2)) < 65536:
            raise JoinTokenError("the join token's address is not host:port; make a new one")
        if len(secret) != _SECRET_BYTES or not ca_der or not _CLUSTER.match(fields["c"]):
            raise JoinTokenError("the join token is damaged; copy the whole of it")
        return cls(address=fields["a"], ca_der=ca_der, secret=secret, cluster=fields["c"])


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64url") from error
