"""Which methods need what. A method without a rule is refused. Asked by the authentication interceptor.

Today a package has one rule for all its methods; roles will make the table finer, and this is where.
"""

import enum
from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import ServiceDescriptor


class Rule(enum.Enum):
    """What a caller must have."""

    OPEN = "anybody may call"
    ANY_TOKEN = "any valid API token"  # noqa: S105 - a rule, not a password
    # The join token of Enroll, the certificate and signature of Connect: the servicer checks them itself.
    PROOF_IN_REQUEST = "credentials inside the request"


_BY_PACKAGE = {
    # Probes of load balancers and of Kubernetes carry no credentials, and health says nothing but up or down.
    "grpc.health.v1": Rule.OPEN,
    # The contract is public in the repository, and `grpcurl list` before login is how people find their way.
    "grpc.reflection.v1": Rule.OPEN,
    "grpc.reflection.v1alpha": Rule.OPEN,
    "skerry.platform.v1": Rule.ANY_TOKEN,
    "skerry.agent.v1": Rule.PROOF_IN_REQUEST,
}


def rules_for(services: Iterable[ServiceDescriptor]) -> Mapping[str, Rule]:
    """The rule of each method (`/package.Service/Method`) of these services; methods of unknown packages have none."""
    return {
        f"/{service.full_name}/{method.name}": _BY_PACKAGE[service.file.package]
        for service in services
        if service.file.package in _BY_PACKAGE
        for method in service.methods
    }
