"""Which servers the agent trusts: its control plane's CA, and that of a proxy on the way when the operator names one.

A proxy that ends TLS shows its own certificate. Trusting its CA does not make it our control plane: the identity is proven by
signatures inside the stream either way. Read by `app` and `doctor`.
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from agent.link.errors import IdentityError

_SETTING = "SKERRY_AGENT_PROXY_CA_FILE"


def read_proxy_ca(path: Path | None) -> bytes:
    """The CA certificates of the file in PEM, nothing without a file. Raises IdentityError."""
    if path is None:
        return b""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IdentityError(f"{_SETTING}: {path} cannot be read: {error.strerror}") from error
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise IdentityError(
            f"{_SETTING}: {path} holds no certificates in PEM; give the CA that signed the proxy's certificate"
        ) from error
    return content if content.endswith(b"\n") else content + b"\n"
