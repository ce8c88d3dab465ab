"""Finds out whether the cluster enforces network policies: by making one and seeing if it bites.

Kubernetes accepts policies whether anything enforces them or not, so there is no other way to know.
Two tiny pods in a namespace of their own: the one reaches the other, then a policy forbids it. The
namespace is removed whatever happens. Called by `reporter`, rarely.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from agent.bootstrap.readiness import pod_trouble
from agent.kube import KubeClient, Manifest
from agent.kube.errors import KubeError

log = structlog.get_logger(__name__)

NAMESPACE = "skerry-probe"
FIELD_MANAGER = "skerry-probe"
PORT = 8080
_CONNECT_SECONDS = 2
_LABELS = {"app.kubernetes.io/managed-by": "skerry"}
_SERVE = f"echo ok > /www/index.html && exec httpd -f -p {PORT} -h /www"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """What the probe found. `enforced` is None when it could not tell; then `message` says why."""

    enforced: bool | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ProbePace:
    """Bounds, in seconds."""

    start: float = 60.0
    """For the pods to run: an image may have to be pulled."""
    bite: float = 20.0
    """For a policy to take effect."""
    poll: float = 1.0
    removal: float = 90.0


class NetworkPolicyProbe:
    """`image` needs `sh`, `httpd`, `nc` and `sleep`, as busybox has."""

    def __init__(
        self,
        kube: KubeClient,
        image: str,
        *,
        pace: ProbePace,
        monotonic: Callable[[], float],
        namespace: str = NAMESPACE,
    ) -> None:
        """`namespace` is made and removed: two probes in one cluster need two."""
        self._kube = kube
        self._image = image
        self._namespace = namespace
        self._pace = pace
        self._monotonic = monotonic

    async def run(self) -> Enforcement:
        """One probe. Raises KubeError only when the API server is away."""
        try:
            async with self._made_namespace():
                return await self._probe()
        except KubeError as error:
            if error.retryable:
                raise
            return Enforcement(None, f"the probe was refused: {error}")

    async def _probe(self) -> Enforcement:
        for manifest in (
            _pod(self._namespace, "server", self._image, _SERVE),
            _pod(self._namespace, "client", self._image, "exec sleep 600"),
        ):
            await self._kube.apply(manifest, field_manager=FIELD_MANAGER)
        trouble, address = await self._wait_running()
        if trouble:
            return Enforcement(None, f"the probe's pods do not run: {trouble}; image {self._image}")
        if not await self._reaches(address, wanted=True, within=self._pace.bite):
            return Enforcement(
                None, "the probe's pods cannot reach each other even without a policy"
            )
        await self._kube.apply(_deny(self._namespace), field_manager=FIELD_MANAGER)
        if await self._reaches(address, wanted=False, within=self._pace.bite):
            return Enforcement(True)
        return Enforcement(
            False,
            "a policy that forbids all ingress had no effect: nothing here enforces network policies, so "
            "environments are not isolated; use a CNI that does (on K3s, drop --disable-network-policy)",
        )

    async def _wait_running(self) -> tuple[str, str]:
        """(what is wrong, the server's address)."""
        deadline = self._monotonic() + self._pace.start
        trouble = "no pod appeared"
        while True:
            pods = await self._kube.list("v1", "Pod", self._namespace)
            ready = [pod for pod in pods if _ready(pod)]
            if len(ready) == 2:
                server = next(pod for pod in ready if pod["metadata"]["name"] == "server")
                return "", str(server["status"]["podIP"])
            trouble = next(filter(None, map(pod_trouble, pods)), "they are still starting")
            if self._monotonic() >= deadline:
                return trouble, ""
            await asyncio.sleep(self._pace.poll)

    async def _reaches(self, address: str, *, wanted: bool, within: float) -> bool:
        """Whether the client's reach became as wanted in time."""
        deadline = self._monotonic() + within
        while await self._connects(address) is not wanted:
            if self._monotonic() >= deadline:
                return False
            await asyncio.sleep(self._pace.poll)
        return True

    async def _connects(self, address: str) -> bool:
        command = ["nc", "-w", str(_CONNECT_SECONDS), address, str(PORT)]
        session = await self._kube.exec(self._namespace, "client", "probe", command)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS * 5):
                async for _ in session.output():
                    continue
        except TimeoutError as error:
            raise KubeError("the probe's command did not end; is the image a busybox?") from error
        finally:
            await session.close()
        if session.result.exit_code is None:
            raise KubeError(f"the probe's command could not run: {session.result.message}")
        return session.result.exit_code == 0

    @asynccontextmanager
    async def _made_namespace(self) -> AsyncIterator[None]:
        await self._remove()  # what a probe before us may have left
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": self._namespace,
                "labels": {**_LABELS, "pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
        await self._kube.apply(manifest, field_manager=FIELD_MANAGER)
        try:
            await self._wait_service_account()
            yield
        finally:
            # Also when cancelled: the deletion is one request, and must not be cut off by our own end.
            removal = asyncio.create_task(self._kube.delete("v1", "Namespace", self._namespace))
            try:
                await asyncio.shield(removal)
            except KubeError as error:
                log.warning("probe_namespace_not_removed", error=str(error))

    async def _wait_service_account(self) -> None:
        """Pods are refused until the namespace's default service account is there."""
        deadline = self._monotonic() + self._pace.start
        while await self._kube.get("v1", "ServiceAccount", "default", self._namespace) is None:
            if self._monotonic() >= deadline:
                raise KubeError(f"namespace {self._namespace} got no default service account")
            await asyncio.sleep(self._pace.poll)

    async def _remove(self) -> None:
        deadline = self._monotonic() + self._pace.removal
        while await self._kube.delete("v1", "Namespace", self._namespace):
            if self._monotonic() >= deadline:
                raise KubeError(f"namespace {self._namespace} of an earlier probe does not go away")
            await asyncio.sleep(self._pace.poll)


def _pod(namespace: str, name: str, image: str, script: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {**_LABELS, "probe": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "runAsGroup": 65534,
                "fsGroup": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "probe",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", script],
                    "resources": {
                        "requests": {"cpu": "5m", "memory": "8Mi"},
                        "limits": {"cpu": "200m", "memory": "32Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "www", "mountPath": "/www"}],
                }
            ],
            "volumes": [{"name": "www", "emptyDir": {"sizeLimit": "1Mi"}}],
        },
    }


def _deny(namespace: str) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": namespace, "labels": _LABELS},
        "spec": {"podSelector": {"matchLabels": {"probe": "server"}}, "policyTypes": ["Ingress"]},
    }


def _ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
