"""`skerry-agent doctor`: what stands in the way of an agent here, each with its way out.

Changes nothing, needs no identity and no control plane to say the rest. Called by `__main__`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from agent.facts.collect import helm_controller_answers, storage_class_facts
from agent.kube import KubeClient
from agent.kube.errors import KubeError, NotServedError
from agent.link import Identity, IdentityError, IdentityStore, read_proxy_ca
from agent.permissions import RULES
from agent.settings import AgentSettings

_CONNECT_SECONDS = 5.0
_RENEW_BELOW = 1 / 4
_OLDEST_MINOR = 29
_HELM = "helm-controller"
_STORAGE = "storage class"


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `fix` is empty when it is in order."""

    check: str
    verdict: Verdict
    message: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


async def examine(settings: AgentSettings, now: Callable[[], datetime]) -> AsyncIterator[Finding]:
    """Everything, in the order in which it must be put right."""
    yield _state_dir(settings)
    identity, finding = _identity(settings, now())
    yield finding
    if identity is not None:
        yield await _control_plane(identity, settings)
    try:
        async with KubeClient(settings.kubeconfig, context=settings.context) as kube:
            async for finding in _cluster(settings, kube, now):
                yield finding
    except KubeError as error:
        yield Finding(
            "kubernetes",
            Verdict.FAILED,
            str(error),
            "check --kubeconfig and that the API server runs",
        )


def _state_dir(settings: AgentSettings) -> Finding:
    folder = settings.state_dir
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return Finding("state directory", Verdict.OK, str(folder))
    return Finding(
        "state directory",
        Verdict.FAILED,
        f"{folder} cannot be written by this user",
        "choose another with --state-dir, or fix its owner",
    )


def _identity(settings: AgentSettings, now: datetime) -> tuple[Identity | None, Finding]:
    name, fix = (
        "identity",
        "make a join token with `skerry cluster join-token` and start the agent with it",
    )
    try:
        identity = IdentityStore(settings.state_dir).load()
    except IdentityError as error:
        return None, Finding(name, Verdict.FAILED, str(error), fix)
    if identity is None:
        return None, Finding(name, Verdict.WARNING, "this agent has not joined yet", fix)
    left = identity.life_left(now)
    message = f"{identity.cluster}, certificate {identity.generation} until {identity.expire_time:%Y-%m-%d %H:%M} UTC"
    if left <= 0:
        return identity, Finding(
            name,
            Verdict.WARNING,
            f"{message}: it has ended",
            "start the agent: the control plane renews it when it did not end too long ago (30 days unless set "
            f"otherwise); else {fix}",
        )
    if left < _RENEW_BELOW:
        return identity, Finding(
            name,
            Verdict.WARNING,
            f"{message}: it should have been renewed by now",
            "see in the agent's log why: it renews over its link when a third is left",
        )
    return identity, Finding(name, Verdict.OK, message)


async def _control_plane(identity: Identity, settings: AgentSettings) -> Finding:
    """A TLS handshake against the CA of the identity, as the link does it."""
    host, _, port = identity.address.rpartition(":")
    try:
        roots = identity.ca_pem + read_proxy_ca(settings.proxy_ca_file)
    except IdentityError as error:
        return Finding(
            "control plane", Verdict.FAILED, str(error), "correct the file or the setting"
        )
    context = ssl.create_default_context(cadata=roots.decode("ascii"))
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(
                host.strip("[]"), int(port), ssl=context, server_hostname=host.strip("[]")
            )
        # The handshake was the question. Closing in order would have TLS complain of HTTP/2's greeting.
        writer.transport.abort()
    except ssl.SSLCertVerificationError as error:
        return Finding(
            "control plane",
            Verdict.FAILED,
            f"{identity.address} shows a certificate that is not of our control plane: {error.verify_message}",
            "check the address; when a proxy ends TLS there, give its CA with SKERRY_AGENT_PROXY_CA_FILE; "
            "or join again with a new token",
        )
    except (OSError, TimeoutError) as error:
        return Finding(
            "control plane",
            Verdict.FAILED,
            f"{identity.address} cannot be reached: {error or 'no answer in time'}",
            "check that it runs, and the way to it: the agent dials out, nothing else is needed",
        )
    return Finding("control plane", Verdict.OK, f"{identity.address} answers")


async def _cluster(
    settings: AgentSettings, kube: KubeClient, now: Callable[[], datetime]
) -> AsyncIterator[Finding]:
    version = await kube.version()
    minor = int("".join(filter(str.isdigit, version.get("minor", ""))) or 0)
    if minor < _OLDEST_MINOR:
        yield Finding(
            "kubernetes",
            Verdict.WARNING,
            f"{kube.host} is {version.get('gitVersion')}, older than 1.{_OLDEST_MINOR}",
            "upgrade: terminals cannot end their input on older servers",
        )
    else:
        yield Finding("kubernetes", Verdict.OK, f"{kube.host} is {version.get('gitVersion')}")
    yield await _permissions(settings, kube)
    for name, check in (
        (_HELM, _helm_controller(kube, now())),
        (_STORAGE, _storage_class(kube)),
    ):
        try:
            yield await check
        except KubeError as error:
            yield Finding(name, Verdict.FAILED, str(error), "see permissions")


async def _permissions(settings: AgentSettings, kube: KubeClient) -> Finding:
    asked = [
        (rule, resource, verb)
        for rule in RULES
        for resource in rule.resources
        for verb in rule.verbs
    ]
    answers = await asyncio.gather(
        *(
            kube.allowed(
                verb, rule.group, resource, settings.namespace if rule.own_namespace else ""
            )
            for rule, resource, verb in asked
        )
    )
    missing = [
        f"{verb} {resource}{f'.{rule.group}' if rule.group else ''} ({rule.reason})"
        for (rule, resource, verb), allowed in zip(asked, answers, strict=True)
        if not allowed
    ]
    if not missing:
        return Finding("permissions", Verdict.OK, f"all {len(asked)} rights that the agent needs")
    return Finding(
        "permissions",
        Verdict.FAILED,
        f"{len(missing)} of {len(asked)} rights are missing: {'; '.join(missing)}",
        "apply deploy/agent/rbac.yaml, or use a kubeconfig with these rights",
    )


async def _helm_controller(kube: KubeClient, now: datetime) -> Finding:
    name = _HELM
    fix = "use K3s with its helm-controller on, or install k3s-io/helm-controller; or disable add-ons that are charts"
    try:
        charts = await kube.list("helm.cattle.io/v1", "HelmChart")
    except NotServedError:
        return Finding(name, Verdict.WARNING, "the cluster serves no HelmChart", fix)
    match helm_controller_answers(charts, now):
        case True:
            return Finding(name, Verdict.OK, "takes HelmCharts up")
        case False:
            return Finding(name, Verdict.WARNING, "does not take HelmCharts up", "look at its log")
        case _:
            return Finding(
                name, Verdict.OK, "the cluster serves HelmChart; none is there yet to tell more"
            )


async def _storage_class(kube: KubeClient) -> Finding:
    classes = [
        storage_class_facts(found) for found in await kube.list("storage.k8s.io/v1", "StorageClass")
    ]
    default = [found.name for found in classes if found.is_default]
    if default:
        return Finding(_STORAGE, Verdict.OK, f"{default[0]} is the default")
    return Finding(
        _STORAGE,
        Verdict.WARNING,
        "no storage class is the default",
        "mark one, or name one with SKERRY_AGENT_STORAGE_CLASS: volumes stay pending otherwise",
    )
