"""Which methods need what. A method without a rule is refused. Asked by the admission stage.

The rule of a platform method stands beside it in the proto, as the option `skerry.platform.v1.rule`; it is read from the
descriptors, so that a method and its rule cannot part. Packages that are not ours, and the agents' own, have one rule for all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from skerry.platform.v1 import rule_pb2

from controlplane.domain.access import Permission


class Access(Enum):
    """How a method is guarded."""

    OPEN = "anybody may call"
    PERMISSION = "callers who hold a permission at the resource"
    OWN = "any caller who is known; it is about the caller's own"
    # The join token of Enroll, the certificate and signature of Connect: the servicer checks them itself.
    PROOF_IN_REQUEST = "credentials inside the request"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a method asks of its caller.

    `resource` holds the paths of fields that may name the resource, tried in order; none: the whole platform. `protected` is asked
    for as well in protected environments. A `filtered` method shows each caller what they may see. An `audited` one leaves an
    entry whatever comes of it.
    """

    access: Access
    permission: Permission | None = None
    resource: tuple[str, ...] = ()
    protected: Permission | None = None
    filtered: bool = False
    audited: bool = False

    @property
    def needs_token(self) -> bool:
        return self.access in (Access.PERMISSION, Access.OWN)


_BY_PACKAGE = {
    # Probes of load balancers and of Kubernetes carry no credentials, and health says nothing but up or down.
    "grpc.health.v1": Rule(Access.OPEN),
    # The contract is public in the repository, and `grpcurl list` before login is how people find their way.
    "grpc.reflection.v1": Rule(Access.OPEN),
    "grpc.reflection.v1alpha": Rule(Access.OPEN),
    "skerry.agent.v1": Rule(Access.PROOF_IN_REQUEST),
}
_ACCESS = {rule_pb2.ACCESS_OWN: Access.OWN, rule_pb2.ACCESS_PUBLIC: Access.OPEN}


def rules_for(services: Iterable[ServiceDescriptor]) -> Mapping[str, Rule]:
    """The rule of each method (`/package.Service/Method`) of these services; methods that have none are left out."""
    found = {}
    for service in services:
        for method in service.methods:
            rule = _BY_PACKAGE.get(service.file.package) or _declared(method)
            if rule is not None:
                found[f"/{service.full_name}/{method.name}"] = rule
    return found


def permission_of(value: int) -> Permission | None:
    """The domain's permission for a proto one; None for UNSPECIFIED and what this version does not know."""
    try:
        name = rule_pb2.Permission.Name(value)  # type: ignore[arg-type]  # unknown numbers raise
    except ValueError:
        return None
    word = name.removeprefix("PERMISSION_").lower().replace("_", ".", 1)
    return next(iter(Permission.known([word])), None)


def _declared(method: MethodDescriptor) -> Rule | None:
    options = method.GetOptions()
    if not options.HasExtension(rule_pb2.rule):
        return None
    declared = options.Extensions[rule_pb2.rule]
    permission = permission_of(declared.permission)
    access = _ACCESS.get(declared.access) or (Access.PERMISSION if permission else None)
    if access is None:
        return None
    return Rule(
        access=access,
        permission=permission,
        resource=tuple(declared.resource.split("|")) if declared.resource else (),
        protected=permission_of(declared.protected_permission),
        filtered=declared.filtered,
        audited=declared.audited,
    )
