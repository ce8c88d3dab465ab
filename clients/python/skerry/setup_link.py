"""The setup link: the address of a control plane, what it is known by, and a code that makes an owner once.

Made by the control plane at its first start and by `skerry-controlplane setup-link`; read by `skerry login --setup`. What
matters stands behind the `#`, which browsers keep to themselves, so that no proxy and no log ever sees the code.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

_PATH = "/setup"
_MAX_CHARS = 16_384


class SetupLinkError(ValueError):
    """The text is no setup link. The message says what is wrong, never what the link holds."""


@dataclass(frozen=True, slots=True)
class SetupLink:
    """`server` is `host:port` of the API, `ca_pem` the certificates to trust (empty: the system's)."""

    server: str
    code: str = field(repr=False)
    ca_pem: bytes = b""
    tls: bool = True

    def encode(self) -> str:
        """The link to paste."""
        values = {"code": self.code}
        if self.ca_pem:
            der = ssl.PEM_cert_to_DER_cert(self.ca_pem.decode("ascii"))
            values["ca"] = base64.urlsafe_b64encode(der).rstrip(b"=").decode()
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{self.server}{_PATH}#{urlencode(values)}"

    @classmethod
    def parse(cls, text: str) -> SetupLink:
        """Read a link back. Raises SetupLinkError for anything that `encode` did not make."""
        text = text.strip()
        if len(text) > _MAX_CHARS:
            raise SetupLinkError("a setup link is not that long")
        try:
            parts = urlsplit(text)
            values = parse_qs(parts.fragment, strict_parsing=True, max_num_fields=4)
            (code,) = values["code"]
            ca = _pem(values["ca"][0]) if "ca" in values else b""
        except (ValueError, KeyError) as error:
            raise SetupLinkError(
                "this is no setup link: it looks like https://HOST:7070/setup#code=… and is pasted whole, in quotes"
            ) from error
        if parts.scheme not in ("https", "http") or parts.path != _PATH or not parts.netloc:
            raise SetupLinkError("a setup link begins with https://HOST:PORT/setup")
        return cls(parts.netloc, code, ca, parts.scheme == "https")


def _pem(text: str) -> bytes:
    try:
        der = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    return ssl.DER_cert_to_PEM_cert(der).encode("ascii")
