"""What a deploy would do, object by object, without doing it: the same steps as `deploy`, dry."""

from __future__ import annotations

from agent.compose import Diagnostic, Plan, Severity
from agent.kube import KubeClient, Manifest, ObjectRef
from agent.workloads.conversion import ConversionSettings, PlanFunction, convert
from agent.workloads.diff import documents, unified
from agent.workloads.environments import Environments
from agent.workloads.gate import admit
from agent.workloads.inventory import Inventories, to_prune
from agent.workloads.model import Action, DeployRequest, ObjectChange, Preview
from agent.workloads.objects import Objects, foreign_owner
from agent.workloads.rehearsal import Rehearsed, refusal_text, rehearse

_ROOM_WAIT = 1.0


class Previewer:
    def __init__(
        self,
        kube: KubeClient,
        environments: Environments,
        plan: PlanFunction,
        conversion: ConversionSettings | None = None,
    ) -> None:
        self._kube = kube
        self._environments = environments
        self._plan = plan
        self._conversion = conversion or ConversionSettings()
        self._inventories = Inventories(kube)

    async def preview(self, request: DeployRequest) -> Preview:
        """Changes nothing. Raises WorkloadError (a compose file was not sent) and KubeError."""
        plan = await convert(self._plan, request, self._conversion)
        if plan.rejected:
            return _preview(plan, [], plan.diagnostics)
        admit(plan.manifests, request.app, request.environment)
        if await self._environments.exists(request.environment, patient=False):  # somebody waits
            return await self._against_live(request, plan)
        return _against_nothing(request, plan)

    async def _against_live(self, request: DeployRequest, plan: Plan) -> Preview:
        namespace = request.environment.namespace
        objects = Objects(self._kube, request.environment, request.app)
        live = await objects.live([ObjectRef.of(manifest) for manifest in plan.manifests])
        await self._environments.check_room(
            request.environment, plan.manifests, live.values(), within=_ROOM_WAIT
        )
        taken = {
            ref: owner
            for ref, obj in live.items()
            if (owner := foreign_owner(obj, request.app)) is not None
        }
        free = [m for m in plan.manifests if ObjectRef.of(m) not in taken]
        rehearsed = {one.ref: one for one in await rehearse(self._kube, objects, free, live)}
        changes = []
        for manifest in plan.manifests:
            ref = ObjectRef.of(manifest)
            if ref in taken:
                text = f"belongs to {taken[ref]}; rename the service, or use another environment"
                changes.append(_change(ref, Action.REFUSED, message=text))
            else:
                changes.append(_of_rehearsal(rehearsed[ref]))
        former = await self._inventories.load(namespace, request.app)
        wanted = [ObjectRef.of(manifest) for manifest in plan.manifests]
        superfluous = to_prune(former.objects if former else (), wanted)
        doomed = await objects.live(superfluous)
        changes += [
            _change(ref, Action.DELETE, unified(_name(ref), obj, None))
            for ref, obj in doomed.items()
        ]
        return _preview(plan, changes, plan.diagnostics)


def _against_nothing(request: DeployRequest, plan: Plan) -> Preview:
    """No namespace yet: everything is new, and the API server cannot be asked about it."""
    note = Diagnostic(
        *("<plan>", 0, 0, 0, 0),
        severity=Severity.INFO,
        code="PLN001",
        path="",
        message=(
            f"namespace {request.environment.namespace} does not exist yet, so the cluster could "
            "not check the objects"
        ),
        hint="The deploy makes it and checks them before it applies any.",
    )
    changes = []
    for manifest in plan.manifests:
        ref = ObjectRef.of(manifest)
        changes.append(_change(ref, Action.CREATE, unified(_name(ref), None, manifest)))
    return _preview(plan, changes, (*plan.diagnostics, note))


def _of_rehearsal(rehearsed: Rehearsed) -> ObjectChange:
    ref, applied = rehearsed.ref, rehearsed.applied
    if applied is None:
        text = refusal_text(rehearsed.refusal) if rehearsed.refusal else ""
        return _change(ref, Action.REFUSED, message=text)
    if applied.previous is None:
        return _change(ref, Action.CREATE, unified(_name(ref), None, rehearsed.manifest))
    if not applied.changed:
        return _change(ref, Action.UNCHANGED)
    return _change(ref, Action.UPDATE, unified(_name(ref), applied.previous, applied.obj))


def _preview(
    plan: Plan, changes: list[ObjectChange], diagnostics: tuple[Diagnostic, ...]
) -> Preview:
    manifests: tuple[Manifest, ...] = plan.manifests
    return Preview(
        rejected=plan.rejected or any(change.action is Action.REFUSED for change in changes),
        diagnostics=diagnostics,
        changes=tuple(changes),
        manifests=documents(manifests),
        services=plan.services,
        volumes=plan.volumes,
        public=plan.public,
        bindings=plan.bindings,
    )


def _change(ref: ObjectRef, action: Action, diff: str = "", message: str = "") -> ObjectChange:
    return ObjectChange(ref.api_version, ref.kind, ref.name, action, diff, message)


def _name(ref: ObjectRef) -> str:
    return f"{ref.kind}/{ref.name}"
