"""Deploy a revision: compose files in, a rollout that has arrived or a reason out.

The steps, each of which can be repeated after a crash without doing anything twice: convert →
check ownership → environment → rehearsal (server-side dry run) → note what will be there → apply
wave by wave → watch the rollout → prune what the revision no longer has → note that it is ready.
When the rollout fails, the last revision that was ready is put back; volumes are never deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from agent.compose import WaitFor
from agent.kube import Applied, KubeClient, Live, Manifest, ObjectRef
from agent.kube.errors import KubeError
from agent.workloads.attempt import Attempt, Progress
from agent.workloads.concurrent import run_all
from agent.workloads.conversion import (
    ConversionSettings,
    PlanFunction,
    convert,
    rejection,
)
from agent.workloads.environments import Environments
from agent.workloads.errors import (
    FAILED_PRECONDITION,
    RolloutFailedError,
    WorkloadError,
    outcome_of,
)
from agent.workloads.gate import admit
from agent.workloads.inventory import Failed, Inventories, Inventory, Stage, to_prune, union
from agent.workloads.labels import service_name
from agent.workloads.model import (
    DeployRequest,
    Outcome,
    Phase,
    Report,
)
from agent.workloads.objects import VOLUME, Objects
from agent.workloads.observe import Observation, observe
from agent.workloads.rehearsal import check, rehearse
from agent.workloads.rollout import (
    CrashLogs,
    Failure,
    RolloutPolicy,
    Target,
    rollout_watches,
    watch_rollout,
)

log = structlog.get_logger(__name__)

_WORKLOADS = frozenset({"Deployment", "Job", "CronJob"})


@dataclass(frozen=True, slots=True)
class DeploySettings:
    conversion: ConversionSettings = field(default_factory=ConversionSettings)
    rollout: RolloutPolicy = field(default_factory=RolloutPolicy)
    put_back_wait: float = 60.0
    """Seconds to wait for the revision that was put back to serve again."""
    room_wait: float = 10.0
    """Seconds to wait for pods that are about to end and still count in the quota."""


class Deployer:
    """One for all apps. Deploys of one app must not run at the same time; the link sees to it."""

    def __init__(
        self,
        kube: KubeClient,
        environments: Environments,
        plan: PlanFunction,
        settings: DeploySettings | None = None,
    ) -> None:
        self._kube = kube
        self._environments = environments
        self._plan = plan
        self._settings = settings or DeploySettings()
        self._inventories = Inventories(kube)

    async def deploy(self, request: DeployRequest, report: Report) -> Outcome:
        """Make the revision so and say how it went; every expected failure is an outcome.

        Cancelled while it waits, what was applied stays and the last ready revision goes on
        serving as far as the cluster's own rollout lets it.
        """
        progress = Progress(request, report)
        try:
            return await self._deploy(request, progress)
        except (WorkloadError, KubeError) as error:
            log.info(
                "deploy_failed",
                app=request.app,
                namespace=request.environment.namespace,
                deployment=request.deployment,
                reason=outcome_of(error).reason,  # the message may quote what the app has logged
            )
            return outcome_of(error, progress.at(Phase.FAILED))

    async def _deploy(self, request: DeployRequest, progress: Progress) -> Outcome:
        progress.tell("reading the compose files")
        plan = await convert(self._plan, request, self._settings.conversion)
        progress.planned(plan)
        if plan.rejected:
            return Outcome(
                *(FAILED_PRECONDITION, "COMPOSE_REJECTED", rejection(plan)),
                progress.at(Phase.FAILED),
            )
        admit(plan.manifests, request.app, request.environment)
        namespace = request.environment.namespace
        objects = Objects(self._kube, request.environment, request.app)
        former: Inventory | None = None
        live: dict[ObjectRef, Manifest] = {}
        if await self._environments.exists(request.environment):
            former = await self._inventories.load(namespace, request.app)
            if former is not None and _told_before(former, request):
                return _again(former, progress)
            live = await objects.live([ObjectRef.of(m) for m in plan.manifests])
            objects.check_owner(live)
        progress.tell("preparing the environment")
        await self._environments.ensure(request.environment)
        await self._environments.check_room(
            request.environment, plan.manifests, live.values(), within=self._settings.room_wait
        )
        check(await rehearse(self._kube, objects, plan.manifests, live))
        attempt = Attempt(request, plan, former, live, objects, progress)
        return await self._roll_out(attempt)

    async def _roll_out(self, attempt: Attempt) -> Outcome:
        request, progress = attempt.request, attempt.progress
        namespace = request.environment.namespace
        await self._inventories.save(namespace, attempt.begun())
        async with observe(self._kube, rollout_watches(request.app), namespace) as picture:
            logs = CrashLogs(self._kube, namespace)
            try:
                await self._apply_waves(attempt, picture, logs)
            except (WorkloadError, KubeError) as error:
                if isinstance(error, KubeError) and error.retryable:
                    raise  # the API server is away: nothing can be put back now either
                return await self._put_back(attempt, picture, logs, error)
        progress.enter(Phase.PRUNING, "deleting what the revision no longer has")
        pruned = await attempt.objects.delete(attempt.superfluous())
        await self._inventories.save_last_good(namespace, request.app, attempt.waves)
        await self._inventories.save(namespace, attempt.finished())
        progress.enter(Phase.READY, f"revision {request.revision} is ready")
        gone = ", ".join(f"{ref.kind} {ref.name}" for ref in pruned)
        note = f"; deleted {gone}" if gone else ""
        return Outcome(
            0, "", f"revision {request.revision} is ready{note}", progress.at(Phase.READY)
        )

    async def _apply_waves(self, attempt: Attempt, picture: Observation, logs: CrashLogs) -> None:
        """Apply everything and return when it has arrived. Raises RolloutFailedError, KubeError."""
        progress = attempt.progress
        targets: list[Target] = []
        for wave in attempt.plan.waves:
            progress.enter(Phase.APPLYING, f"applying {wave.name}")
            waited = wave.wait is WaitFor.JOBS_COMPLETE
            applied = await run_all(
                [partial(self._apply_one, attempt, manifest) for manifest in wave.manifests]
            )
            targets += [
                attempt.target(one, must_complete=waited)
                for one in applied
                if one.obj["kind"] in _WORKLOADS
            ]
            if waited:
                jobs = [target for target in targets if target.must_complete]
                progress.enter(Phase.ROLLING_OUT, _waiting_for(jobs))
                await self._watch(attempt, picture, logs, jobs)
        progress.enter(Phase.ROLLING_OUT, _waiting_for(targets))
        await self._watch(attempt, picture, logs, targets)

    async def _apply_one(self, attempt: Attempt, manifest: Manifest) -> Applied:
        live = attempt.live.get(ObjectRef.of(manifest))
        if live is not None and not attempt.is_repeated and await attempt.objects.make_room(live):
            live = None
        applied = await attempt.objects.apply(manifest, Live(live))
        attempt.progress.one_applied()
        return applied

    async def _watch(
        self,
        attempt: Attempt,
        picture: Observation,
        logs: CrashLogs,
        targets: Sequence[Target],
    ) -> None:
        failure = await watch_rollout(
            picture,
            targets,
            logs,
            policy=self._settings.rollout,
            deadline=attempt.request.progress_deadline,
            tell=attempt.progress.services,
        )
        if failure is not None:
            raise RolloutFailedError(failure.reason, f"{failure.service}: {failure.message}")

    async def _put_back(
        self,
        attempt: Attempt,
        picture: Observation,
        logs: CrashLogs,
        error: WorkloadError | KubeError,
    ) -> Outcome:
        """Bring the last ready revision back and tell why; without one, leave all to be seen."""
        request, former = attempt.request, attempt.former
        namespace = request.environment.namespace
        outcome = outcome_of(error, attempt.progress.at(Phase.FAILED))
        good = await self._inventories.load_last_good(namespace, request.app)
        left: Sequence[ObjectRef]
        if former is None or not former.revision or not good:
            note = "there is no earlier revision to go back to; what was applied is left to be seen"
            left = attempt.everything()
        else:
            attempt.progress.enter(
                Phase.ROLLING_OUT, f"failed; putting revision {former.revision} back"
            )
            refs = [ObjectRef.of(manifest) for wave in good for manifest in wave]
            note = await self._restored(attempt, picture, logs, good)
            await attempt.objects.delete(to_prune(attempt.everything(), refs))
            left = union(refs, [r for r in attempt.everything() if r.kind == VOLUME])
        message = f"revision {request.revision} failed: {outcome.message}\n{note}"
        failed = Failed(request.revision, outcome.code, outcome.reason, message)
        await self._inventories.save(namespace, attempt.failed(failed, tuple(left)))
        attempt.progress.enter(Phase.FAILED, message)
        return replace(outcome, message=message, progress=attempt.progress.at(Phase.FAILED))

    async def _restored(
        self,
        attempt: Attempt,
        picture: Observation,
        logs: CrashLogs,
        good: Sequence[Sequence[Manifest]],
    ) -> str:
        """Put the last ready revision back; how that went, in words. Whatever goes wrong here must
        not hide why the deploy failed."""
        revision = attempt.former.revision if attempt.former else 0
        try:
            trouble = await self._restore(attempt, picture, logs, good)
        except (WorkloadError, KubeError) as error:
            return f"revision {revision} could not be put back: {error.message}"
        if trouble is None:
            return f"revision {revision} was put back and serves"
        why = f"{trouble.service}: {trouble.message}"
        return f"revision {revision} was put back, but does not serve yet: {why}"

    async def _restore(
        self,
        attempt: Attempt,
        picture: Observation,
        logs: CrashLogs,
        good: Sequence[Sequence[Manifest]],
    ) -> Failure | None:
        """Apply old manifests again; what still stands in the way after a while. Jobs have done
        their work and are not run again."""
        targets = []
        for wave in good:
            manifests = [manifest for manifest in wave if manifest["kind"] != "Job"]
            applied = await run_all([partial(attempt.objects.apply, m) for m in manifests])
            targets += [
                Target.of(one, service_name(one.obj))
                for one in applied
                if one.obj["kind"] == "Deployment"
            ]
        return await watch_rollout(
            picture,
            targets,
            logs,
            policy=self._settings.rollout,
            deadline=self._settings.put_back_wait,
            tell=lambda _: None,  # the command's progress goes on showing what failed
        )


def _waiting_for(targets: Sequence[Target]) -> str:
    names = ", ".join(dict.fromkeys(target.service for target in targets))
    return f"waiting for {names}" if names else "nothing to wait for"


def _told_before(former: Inventory, request: DeployRequest) -> bool:
    """Whether this very deployment has failed already and only its result was lost."""
    return (
        former.deployment == request.deployment
        and former.stage is Stage.FAILED
        and former.failed is not None
    )


def _again(former: Inventory, progress: Progress) -> Outcome:
    failed = former.failed
    if failed is None:  # pragma: no cover - the caller has looked
        raise ValueError("the deployment has not failed")
    return Outcome(failed.code, failed.reason, failed.message, progress.at(Phase.FAILED))
