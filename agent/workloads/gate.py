"""The last look before the API server: whatever is applied for an app may hold what is listed here only.

The converter refuses host access in the compose file and checks its own manifests. This is the net behind
it, and looks at what is about to be sent, wherever it came from: a plan, or manifests of an earlier revision
read back from the cluster. Kinds and fields are an allow-list, one tree for each kind; what a tree does not
name is refused with its path. Behind this stand the namespace's Pod Security admission and quota. Called by
`objects` for every apply, dry or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from agent.compose.security import BASELINE_CAPABILITIES, SAFE_SYSCTLS
from agent.kube import Manifest
from agent.workloads.errors import FAILED_PRECONDITION, RefusedError
from agent.workloads.guards import QUOTA_NAME, RECORD_NAME
from agent.workloads.inventory import inventory_name, manifests_name
from agent.workloads.labels import APP, ENVIRONMENT, GUARD, MANAGED_BY, MANAGER, PROJECT
from agent.workloads.model import EnvironmentSpec

Rule: TypeAlias = Callable[[Any, str], Iterable[str]]
"""(value, path) → what is wrong, each with its path."""

_SHOWN = 10


def admit(manifests: Sequence[Manifest], app: str, environment: EnvironmentSpec) -> None:
    """Raises RefusedError naming everything that an app of this environment may not have."""
    problems = [
        f"{manifest.get('kind')} {_mapping(manifest.get('metadata')).get('name')}: {problem}"
        for manifest in manifests
        for problem in problems_of(manifest, app, environment)
    ]
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise RefusedError(
            FAILED_PRECONDITION,
            "MANIFEST_REFUSED",
            "the agent refuses what it was about to apply, nothing was applied: "
            f"{'; '.join(problems[:_SHOWN])}{more}. This is a defect or an attack: report it",
        )


def problems_of(manifest: Manifest, app: str, environment: EnvironmentSpec) -> list[str]:
    """What of a manifest an app may not have; empty for a good one."""
    kind = str(manifest.get("kind", ""))
    tree = _KINDS.get((str(manifest.get("apiVersion", "")), kind))
    if tree is None:
        return [f"apps have no {kind or 'objects'} of {manifest.get('apiVersion') or 'no API'}"]
    template = _template_labels(manifest)
    return [
        *_ownership(template, "the pods' labels", app),
        *tree({key: manifest[key] for key in manifest if key not in _HEAD}, ""),
        *_metadata(manifest.get("metadata"), app, environment),
    ]


# Rules


def anything(_value: Any, _path: str) -> Iterable[str]:
    return ()


def only(*allowed: Any) -> Rule:
    def rule(value: Any, path: str) -> Iterable[str]:
        # `1 == True`: types count.
        if not any(type(value) is type(one) and value == one for one in allowed):
            yield f"{path} is {str(value)[:60]!r}"

    return rule


def fields(required: Sequence[str] = (), /, **allowed: Rule) -> Rule:
    def rule(value: Any, path: str) -> Iterable[str]:
        if not isinstance(value, Mapping):
            yield f"{path} is no mapping"
            return
        for key in value:
            if key not in allowed:
                yield f"{path}.{key} is not allowed".removeprefix(".")
        yield from (
            f"{path}.{key} is missing".removeprefix(".") for key in required if key not in value
        )
        for key, item in value.items():
            if key in allowed:
                yield from allowed[key](item, f"{path}.{key}".removeprefix("."))

    return rule


def each(inner: Rule) -> Rule:
    def rule(value: Any, path: str) -> Iterable[str]:
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        for index, item in enumerate(value):
            yield from inner(item, f"{path}[{index}]")

    return rule


def _peer(value: Any, path: str) -> Iterable[str]:
    # A peer without a selector, or of another namespace, would open more than the environment has.
    if not isinstance(value, Mapping) or set(value) != {"podSelector"}:
        yield f"{path} is more than pods of the environment"


def _policy_rule(direction: str) -> Rule:
    inner = fields((direction,), **{direction: each(_peer), "ports": anything})

    def rule(value: Any, path: str) -> Iterable[str]:
        yield from inner(value, path)
        if isinstance(value, Mapping) and value.get(direction) == []:
            yield f"{path}.{direction} is empty, which means everybody"

    return rule


# What apps have

_HEAD = ("apiVersion", "kind", "metadata")
_BOOLEAN = only(True, False)
_COMMAND = fields(("exec",), exec=fields(command=anything))
_PROBE = fields(
    ("exec",),
    exec=fields(command=anything),
    **dict.fromkeys(
        (
            *("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold"),
            *("successThreshold", "terminationGracePeriodSeconds"),
        ),
        anything,
    ),
)
_CONTAINER = fields(
    ("name", "image"),
    **dict.fromkeys(
        (
            *("name", "image", "command", "args", "workingDir", "resources", "stdin", "tty"),
            "imagePullPolicy",
        ),
        anything,
    ),
    env=each(fields(name=anything, value=anything)),
    envFrom=each(fields(secretRef=fields(name=anything))),
    ports=each(fields(name=anything, containerPort=anything, protocol=anything)),
    startupProbe=_PROBE,
    readinessProbe=_PROBE,
    livenessProbe=_PROBE,
    lifecycle=fields(postStart=_COMMAND, preStop=_COMMAND),
    volumeMounts=each(
        fields(name=anything, mountPath=anything, subPath=anything, readOnly=_BOOLEAN)
    ),
    securityContext=fields(
        allowPrivilegeEscalation=_BOOLEAN,
        capabilities=fields(add=each(only(*BASELINE_CAPABILITIES)), drop=anything),
        readOnlyRootFilesystem=_BOOLEAN,
        runAsNonRoot=_BOOLEAN,
        runAsUser=anything,
        runAsGroup=anything,
    ),
)
_POD = fields(
    ("automountServiceAccountToken", "containers", "securityContext"),
    automountServiceAccountToken=only(False),
    enableServiceLinks=only(False),
    containers=each(_CONTAINER),
    initContainers=each(_CONTAINER),
    volumes=each(
        fields(
            name=anything,
            configMap=anything,
            secret=anything,
            emptyDir=fields(medium=anything, sizeLimit=anything),
            persistentVolumeClaim=anything,
            image=fields(
                ("reference",),
                reference=anything,
                pullPolicy=only("Always", "IfNotPresent"),
            ),
        )
    ),
    securityContext=fields(
        ("seccompProfile",),
        seccompProfile=fields(type=only("RuntimeDefault")),
        sysctls=each(fields(name=only(*SAFE_SYSCTLS), value=anything)),
        **dict.fromkeys(
            (
                *("runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy"),
                "supplementalGroups",
            ),
            anything,
        ),
    ),
    nodeSelector=fields(**{"kubernetes.io/arch": anything}),
    affinity=fields(podAffinity=anything),
    **dict.fromkeys(
        (
            *("restartPolicy", "shareProcessNamespace", "hostname", "hostAliases", "dnsConfig"),
            "terminationGracePeriodSeconds",
        ),
        anything,
    ),
)
_TEMPLATE = fields(("spec",), metadata=fields(labels=anything, annotations=anything), spec=_POD)
_JOB = fields(
    ("template",),
    template=_TEMPLATE,
    **dict.fromkeys(
        (
            *("backoffLimit", "completions", "parallelism", "completionMode", "suspend"),
            *("activeDeadlineSeconds", "ttlSecondsAfterFinished", "podReplacementPolicy"),
            "podFailurePolicy",
        ),
        anything,
    ),
)
_DATA = fields(data=anything, binaryData=anything, stringData=anything, immutable=_BOOLEAN)

_KINDS: Mapping[tuple[str, str], Rule] = {
    ("v1", "ConfigMap"): _DATA,
    ("v1", "Secret"): fields(
        data=anything, stringData=anything, immutable=_BOOLEAN, type=only("Opaque")
    ),
    ("v1", "PersistentVolumeClaim"): fields(
        spec=fields(accessModes=anything, resources=anything, storageClassName=anything)
    ),
    ("v1", "Service"): fields(
        ("spec",),
        spec=fields(
            ("selector",),
            type=only("ClusterIP"),
            selector=anything,
            clusterIP=only("None"),
            sessionAffinity=anything,
            ports=each(
                fields(
                    name=anything,
                    port=anything,
                    targetPort=anything,
                    protocol=anything,
                    appProtocol=anything,
                )
            ),
        ),
    ),
    ("apps/v1", "Deployment"): fields(
        ("spec",),
        spec=fields(
            ("template",),
            template=_TEMPLATE,
            **dict.fromkeys(
                (
                    *("replicas", "selector", "strategy", "minReadySeconds"),
                    *("revisionHistoryLimit", "progressDeadlineSeconds", "paused"),
                ),
                anything,
            ),
        ),
    ),
    ("batch/v1", "Job"): fields(("spec",), spec=_JOB),
    ("batch/v1", "CronJob"): fields(
        ("spec",),
        spec=fields(
            ("jobTemplate",),
            jobTemplate=fields(
                ("spec",), metadata=fields(labels=anything, annotations=anything), spec=_JOB
            ),
            **dict.fromkeys(
                (
                    *("schedule", "timeZone", "concurrencyPolicy", "suspend"),
                    *("startingDeadlineSeconds", "successfulJobsHistoryLimit"),
                    "failedJobsHistoryLimit",
                ),
                anything,
            ),
        ),
    ),
    ("networking.k8s.io/v1", "NetworkPolicy"): fields(
        ("spec",),
        spec=fields(
            ("podSelector", "policyTypes"),
            podSelector=anything,
            policyTypes=each(only("Ingress", "Egress")),
            ingress=each(_policy_rule("from")),
            egress=each(_policy_rule("to")),
        ),
    ),
}


def _metadata(value: Any, app: str, environment: EnvironmentSpec) -> Iterable[str]:
    yield from fields(
        ("name", "namespace", "labels"),
        name=anything,
        namespace=only(environment.namespace),
        labels=anything,
        annotations=anything,
    )(value, "metadata")
    if not isinstance(value, Mapping):
        return
    labels = _mapping(value.get("labels"))
    wanted = {
        MANAGED_BY: MANAGER,
        APP: app,
        PROJECT: environment.project,
        ENVIRONMENT: environment.environment,
    }
    for name, text in wanted.items():
        if labels.get(name) != text:
            yield f"metadata.labels[{name}] is {str(labels.get(name))[:60]!r}"
    if GUARD in labels:
        yield f"metadata.labels[{GUARD}] is for what guards the environment"
    reserved = {QUOTA_NAME, RECORD_NAME, inventory_name(app), manifests_name(app)}
    if str(value.get("name")) in reserved:
        yield f"metadata.name {value['name']} belongs to the environment itself"


def _ownership(labels: Mapping[str, Any], path: str, app: str) -> Iterable[str]:
    """Pods with another app's labels would be sent its traffic, and take part in its networks."""
    if labels.get(APP, app) != app:
        yield f"{path}[{APP}] is {str(labels[APP])[:60]!r}"


def _template_labels(manifest: Manifest) -> Mapping[str, Any]:
    """Labels of the pods that a workload makes, and those that a Service sends traffic to."""
    spec = _mapping(manifest.get("spec"))
    if manifest["kind"] == "Service":
        return _mapping(spec.get("selector"))
    if manifest["kind"] == "CronJob":
        spec = _mapping(_mapping(spec.get("jobTemplate")).get("spec"))
    return _mapping(_mapping(_mapping(spec.get("template")).get("metadata")).get("labels"))


def _mapping(value: Any) -> Mapping[str, Any]:
    """The value, or nothing in it: what is no mapping is reported by the trees."""
    return value if isinstance(value, Mapping) else {}
