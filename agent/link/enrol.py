"""Joining: a join token becomes an identity, once. Called by `agent.app` when there is none yet.

The connection is verified against the CA in the token and nothing else; the key never leaves this
machine, only a signing request does.
"""

from __future__ import annotations

import grpc
import grpc.aio
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2, status_pb2
from skerry.agent.v1 import enrollment_pb2, enrollment_pb2_grpc
from skerry.wire.join_token import JoinToken

from agent.link.errors import EnrolmentError
from agent.link.identity import Identity, IdentityStore, ca_pem
from agent.link.renewal import signing_request
from agent.link.transport import CHANNEL_OPTIONS

log = structlog.get_logger(__name__)

_NEW_TOKEN = "make a new one with `skerry cluster join-token`"  # noqa: S105 - a hint, not a secret
_REASONS = {
    "JOIN_TOKEN_INVALID": f"the control plane does not know this join token; {_NEW_TOKEN}",
    "JOIN_TOKEN_EXPIRED": f"the join token has expired; {_NEW_TOKEN}",
    "JOIN_TOKEN_USED": f"the join token was used before, and each admits one agent; {_NEW_TOKEN}",
    "STORAGE_UNAVAILABLE": "the control plane cannot write its database; look at its log, then try again",
}


async def enrol(
    token: JoinToken,
    store: IdentityStore,
    *,
    agent_version: str,
    proxy_ca_pem: bytes = b"",
    timeout_seconds: float = 15.0,
) -> Identity:
    """Trade the token for an identity and keep it. `proxy_ca_pem` is trusted beside the token's CA.

    Raises `EnrolmentError` (one sentence with the way out) or `IdentityError` (the disk).
    """
    key = ec.generate_private_key(ec.SECP256R1())
    request = enrollment_pb2.EnrollRequest(
        token=token.secret_text, csr=signing_request(key), agent_version=agent_version
    )
    try:
        roots = ca_pem((token.ca_der,))
    except ValueError as error:
        raise EnrolmentError(f"the join token's CA certificate is damaged; {_NEW_TOKEN}") from error
    credentials = grpc.ssl_channel_credentials(root_certificates=roots + proxy_ca_pem)
    async with grpc.aio.secure_channel(
        token.address, credentials, options=CHANNEL_OPTIONS
    ) as channel:
        stub = enrollment_pb2_grpc.EnrollmentServiceStub(channel)
        try:
            response = await stub.Enroll(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise EnrolmentError(_explain(token.address, error)) from error
    identity = _identity(token, key, response)
    store.save(identity)
    log.info("agent_joined", cluster=identity.cluster, expires=identity.expire_time.isoformat())
    return identity


def explain_unreachable(address: str, details: str) -> str:
    """Why a connection to the control plane did not come about, from gRPC's words, with the way out."""
    text = details.lower()
    if "certificate_verify_failed" in text or "certificate verify failed" in text:
        return (
            f"the server at {address} is not the control plane of this agent's join token: its certificate "
            "is from another CA. Check the address, or join again with a new token. When a proxy ends TLS there, "
            "give the agent the proxy's CA with SKERRY_AGENT_PROXY_CA_FILE"
        )
    if "hostname verification" in text or "peer name" in text:
        return (
            f"the certificate of the control plane does not name {address}; add the name to its setting "
            "tls_names, or to agent_advertise_address"
        )
    if "wrong_version_number" in text or "handshake" in text:
        return f"the server at {address} does not speak TLS as the control plane does; check address and port"
    return (
        f"the control plane at {address} cannot be reached; check that it runs and that the address "
        "and the way to it are right"
    )


def _identity(
    token: JoinToken, key: ec.EllipticCurvePrivateKey, response: enrollment_pb2.EnrollResponse
) -> Identity:
    try:
        certificate = x509.load_der_x509_certificate(response.certificate)
    except ValueError as error:
        raise EnrolmentError(
            "the control plane answered with a damaged certificate; look at its log"
        ) from error
    if certificate.public_key() != key.public_key():
        raise EnrolmentError("the control plane certified another key than ours; look at its log")
    return Identity(
        address=token.address,
        cluster=response.cluster,
        cluster_uid=response.cluster_uid,
        certificate_der=response.certificate,
        ca_certificates_der=tuple(response.ca_certificates) or (token.ca_der,),
        key=key,
    )


def _explain(address: str, error: grpc.aio.AioRpcError) -> str:
    known = _REASONS.get(_reason(error))
    if known is not None:
        return known
    details = error.details() or ""
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return explain_unreachable(address, details)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return (
                f"the control plane at {address} did not answer in time; check address and network"
            )
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"the server at {address} is not a Skerry agent port; check the port"
        case grpc.StatusCode.UNAUTHENTICATED:
            return f"the control plane refused the join token: {details}; {_NEW_TOKEN}"
        case code:
            return f"the control plane refused to let the agent join ({code.name}): {details}"


def _reason(error: grpc.aio.AioRpcError) -> str:
    """The `ErrorInfo.reason` of the status, or nothing."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
    return ""
