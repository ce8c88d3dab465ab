"""`EnrollmentService` of agent.v1: a join token becomes a certificate. Mounted on the agent port by `app`."""

import base64
import binascii
from typing import Protocol

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp
from skerry.agent.v1 import enrollment_pb2, enrollment_pb2_grpc

from controlplane.domain.clusters import Enrolment
from controlplane.domain.errors import JoinTokenInvalid

_MAX_TOKEN_CHARS = 256


class Enrolments(Protocol):
    """What the servicer needs of `services.enrolment`."""

    async def enroll(self, secret: bytes, csr_der: bytes, agent_version: str) -> Enrolment: ...


class EnrollmentServicer(enrollment_pb2_grpc.EnrollmentServiceServicer):
    """Converts, calls the service, converts; domain errors become a status in the interceptors."""

    def __init__(self, enrolments: Enrolments) -> None:
        self._enrolments = enrolments

    async def Enroll(
        self,
        request: enrollment_pb2.EnrollRequest,
        context: grpc.aio.ServicerContext[
            enrollment_pb2.EnrollRequest, enrollment_pb2.EnrollResponse
        ],
    ) -> enrollment_pb2.EnrollResponse:
        """Use up the token and certify the key."""
        del context
        enrolment = await self._enrolments.enroll(
            _secret(request.token), request.csr, request.agent_version[:64]
        )
        expire_time = Timestamp()
        expire_time.FromDatetime(enrolment.expire_time)
        return enrollment_pb2.EnrollResponse(
            certificate=enrolment.certificate_der,
            ca_certificates=enrolment.ca_certificates_der,
            cluster=str(enrolment.cluster),
            cluster_uid=enrolment.cluster_uid,
            expire_time=expire_time,
        )


def _secret(token: str) -> bytes:
    try:
        if len(token) > _MAX_TOKEN_CHARS:
            raise ValueError("too long")
        return base64.b64decode(
            token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError) as error:
        raise JoinTokenInvalid("the join token is damaged; copy the whole of it") from error
