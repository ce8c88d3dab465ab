"""Why a server cannot be reached, asked by hand: called by `skerry.calls` when a first try failed.

grpc tells what went wrong with the last address it tried. With `localhost`, which is two, that is often
"connection refused" of the one nobody listens on, and not the certificate of the other.
"""

from __future__ import annotations

import asyncio
import ssl

from skerry.connection import Address, Security

PATIENCE = 3.0
"""Seconds for the probe."""


async def why_unreachable(address: Address, security: Security) -> str | None:
    """What is wrong with the server's TLS, and the way out; None when it is something else."""
    if security.insecure:
        return None
    context = ssl.create_default_context()
    if security.ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=security.ca.decode("ascii", "ignore"))
    context.set_alpn_protocols(["h2"])
    host = address.host.strip("[]")
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, address.port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        return untrusted(str(address), error.verify_message)
    except ssl.SSLError:
        return f"{address} does not speak TLS: is the port right, or is it an insecure server?"
    except (OSError, TimeoutError):
        return None
    writer.close()
    return None


def untrusted(server: str, reason: str = "") -> str:
    """What to say of a certificate that is not trusted."""
    return (
        f"the certificate of {server} is not trusted{f' ({reason})' if reason else ''}: give the control "
        "plane's CA certificate with --ca-file or `ca` (its data folder has it as pki/ca.crt), or call the "
        "server by a name that its certificate has"
    )
