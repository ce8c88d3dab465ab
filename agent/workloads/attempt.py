"""One try of one deploy: what it works on, what it records, and what it tells on the way.

Made by `deploy.Deployer` for each command; holds no decision of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.compose import Plan, ServiceFacts
from agent.kube import Applied, Manifest, ObjectRef
from agent.workloads.conversion import compose_hash
from agent.workloads.inventory import Failed, Inventory, Stage, to_prune, union
from agent.workloads.model import DeployProgress, DeployRequest, Phase, Report, ServiceStatus
from agent.workloads.objects import VOLUME, Objects
from agent.workloads.rollout import Target


class Attempt:
    """`former` is the inventory as the deploy found it, `live` the wanted objects that existed."""

    def __init__(
        self,
        request: DeployRequest,
        plan: Plan,
        former: Inventory | None,
        live: Mapping[ObjectRef, Manifest],
        objects: Objects,
        progress: Progress,
    ) -> None:
        self.live = live
        self.request = request
        self.plan = plan
        self.former = former
        self.objects = objects
        self.progress = progress
        self.waves = [list(wave.manifests) for wave in plan.waves]
        self._wanted = tuple(ObjectRef.of(manifest) for manifest in plan.manifests)
        own = [facts for facts in plan.services if not facts.pod_of]
        self._facts = {facts.workload_name: facts for facts in own}

    @property
    def is_repeated(self) -> bool:
        """Whether this very deployment was begun before and the agent was stopped meanwhile."""
        return self.former is not None and self.former.deployment == self.request.deployment

    def target(self, applied: Applied, *, must_complete: bool) -> Target:
        facts: ServiceFacts | None = self._facts.get(applied.obj["metadata"]["name"])
        service = facts.original_name if facts else applied.obj["metadata"]["name"]
        image = facts.image if facts else ""
        return Target.of(applied, service, image, must_complete=must_complete)

    def everything(self) -> tuple[ObjectRef, ...]:
        """All that may exist while the rollout is under way."""
        return union(self.former.objects if self.former else (), self._wanted)

    def superfluous(self) -> list[ObjectRef]:
        return to_prune(self.former.objects if self.former else (), self._wanted)

    def begun(self) -> Inventory:
        return self._record(
            Stage.APPLYING, self.former.revision if self.former else 0, self.everything()
        )

    def finished(self) -> Inventory:
        volumes = [ref for ref in self.everything() if ref.kind == VOLUME]
        return self._record(Stage.READY, self.request.revision, union(self._wanted, volumes))

    def failed(self, failure: Failed, left: tuple[ObjectRef, ...]) -> Inventory:
        revision = self.former.revision if self.former else 0
        return replace(self._record(Stage.FAILED, revision, left), failed=failure)

    def _record(self, stage: Stage, revision: int, objects: tuple[ObjectRef, ...]) -> Inventory:
        return Inventory(
            app=self.request.app,
            app_uid=self.request.app_uid,
            revision=revision,
            deployment=self.request.deployment,
            compose_hash=compose_hash(self.request),
            stage=stage,
            objects=objects,
        )


class Progress:
    """Builds the progress frames of one deploy and sends them."""

    def __init__(self, request: DeployRequest, report: Report) -> None:
        self._app = request.app
        self._report = report
        self._state = DeployProgress(Phase.PLANNING)
        self._message = ""

    def tell(self, message: str) -> None:
        self._message = message
        self._report(message, self._state)

    def enter(self, phase: Phase, message: str) -> None:
        self._state = replace(self._state, phase=phase)
        self.tell(message)

    def planned(self, plan: Plan) -> None:
        self._state = replace(
            self._state, diagnostics=plan.diagnostics, objects_total=len(plan.manifests)
        )

    def one_applied(self) -> None:
        self._state = replace(self._state, objects_applied=self._state.objects_applied + 1)
        self.tell(self._message)

    def services(self, services: Sequence[ServiceStatus]) -> None:
        """The services looked at now; those of earlier waves stay as they were last seen."""
        known = {service.service: service for service in self._state.services}
        known.update({service.service: service for service in services})
        self._state = replace(self._state, services=tuple(known.values()))
        self.tell(self._message)

    def at(self, phase: Phase) -> DeployProgress:
        return replace(self._state, phase=phase)
