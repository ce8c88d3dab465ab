"""Watch a rollout until it has arrived or has failed, and say why.

`RolloutJudge` decides, from assessments and a clock alone; `watch_rollout` feeds it from a live
picture and tells every change. A reason that does not pass by itself fails the rollout after some
patience (a registry may be slow to answer, a config map may come a moment later); everything else
fails it when nothing has moved for the progress deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from agent.kube import Applied, KubeClient
from agent.kube.errors import KubeError
from agent.workloads.labels import app_selector
from agent.workloads.model import ServiceStatus, State
from agent.workloads.observe import Observation, Watched
from agent.workloads.status import Assessment, Objects, assess, crashed
from agent.workloads.troubles import Reason, Trouble

log = structlog.get_logger(__name__)

_TAIL_LINES = 10
_TAIL_BYTES = 2_000
_SETTLE = 0.1


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """How long to believe that a trouble passes, in seconds."""

    patience: Mapping[Reason, float] = field(
        default_factory=lambda: {
            Reason.IMAGE_NOT_FOUND: 25.0,
            Reason.CONFIG_ERROR: 20.0,
            Reason.QUOTA_EXCEEDED: 10.0,
            Reason.CREATE_FAILED: 20.0,
            Reason.POD_SECURITY: 3.0,
            Reason.JOB_FAILED: 0.0,
            Reason.EVICTED: 60.0,
        }
    )
    crash_restarts: int = 3
    """A container that was started again this often and still ends is given up."""
    steady: float = 2.0
    """A service without a health check counts as ready when its processes live this long: without
    one, a process that dies at once looks ready for a moment."""
    steady_after_crash: float = 10.0
    """The same when one of them has ended before."""


@dataclass(frozen=True, slots=True)
class Target:
    """A workload that was just applied, and what must become of it."""

    kind: str
    name: str
    uid: str
    generation: int
    service: str
    image: str = ""
    must_complete: bool = False
    """A Job that later workloads wait for; any other Job need only have started."""
    changed: bool = True
    """False when the deploy found it as wanted: what runs then has proved itself."""

    @classmethod
    def of(
        cls, applied: Applied, service: str, image: str = "", *, must_complete: bool = False
    ) -> Target:
        obj = applied.obj
        metadata = obj["metadata"]
        return cls(
            kind=obj["kind"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=int(metadata.get("generation", 0)),
            service=service,
            image=image,
            must_complete=must_complete,
            changed=applied.changed,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a rollout is given up."""

    service: str
    reason: str
    message: str


class RolloutJudge:
    """Decides when a rollout has failed. Times are seconds of a monotonic clock."""

    def __init__(self, policy: RolloutPolicy, deadline: float, now: float) -> None:
        self._policy = policy
        self._deadline = deadline
        self._moved = now
        self._best = -1
        self._settles = now
        self._since: dict[tuple[str, Reason], float] = {}
        self._steady: dict[tuple[str, tuple[tuple[str, int], ...]], float] = {}

    def arrived(self, assessed: Sequence[tuple[Target, Assessment]], now: float) -> bool:
        """Whether every target is where the deploy wants it, and stays there."""
        if not all(has_arrived(target, found) for target, found in assessed):
            return False
        unproved = {_lives(t, f): self._needs(f) for t, f in assessed if t.changed and not f.probed}
        self._steady = {key: self._steady.get(key, now) for key in unproved}
        self._settles = max(
            (self._steady[key] + needs for key, needs in unproved.items()), default=now
        )
        return now >= self._settles

    def judge(self, assessed: Sequence[tuple[Target, Assessment]], now: float) -> Failure | None:
        """A reason to give up, or None to go on."""
        current = {
            (target.service, found.trouble.reason)
            for target, found in assessed
            if found.trouble is not None
        }
        self._since = {key: self._since.get(key, now) for key in current}
        score = sum(_score(found) for _, found in assessed)
        if score > self._best:
            self._best, self._moved = score, now
        for target, found in assessed:
            if found.trouble is not None and self._hopeless(target, found.trouble, now):
                return Failure(target.service, found.trouble.reason.value, found.trouble.message)
        if now - self._moved >= self._deadline:
            return self._late(assessed)
        return None

    def next_look(self, now: float) -> float:
        """Seconds until time alone may change the judgement."""
        ends = [self._moved + self._deadline]
        if self._settles > now:
            ends.append(self._settles)
        for (_, reason), since in self._since.items():
            patience = self._policy.patience.get(reason)
            if patience is not None:
                ends.append(since + patience)
        return max(0.0, min(ends) - now)

    def _needs(self, found: Assessment) -> float:
        crashed_before = any(pod.restarts for pod in found.status.pods)
        return self._policy.steady_after_crash if crashed_before else self._policy.steady

    def _hopeless(self, target: Target, trouble: Trouble, now: float) -> bool:
        if trouble.reason in (Reason.CRASH_LOOP, Reason.OOM_KILLED):
            return trouble.restarts >= self._policy.crash_restarts
        patience = self._policy.patience.get(trouble.reason)
        if patience is None:
            return False
        return now - self._since[target.service, trouble.reason] >= patience

    def _late(self, assessed: Sequence[tuple[Target, Assessment]]) -> Failure:
        waiting = [(t, f) for t, f in assessed if not has_arrived(t, f)]
        target, found = (waiting or assessed)[0]
        what = found.trouble.message if found.trouble else found.status.message
        reason = found.trouble.reason.value if found.trouble else "ProgressDeadlineExceeded"
        return Failure(target.service, reason, f"no progress for {self._deadline:.0f} s: {what}")


def has_arrived(target: Target, found: Assessment) -> bool:
    """Whether a workload is where the deploy wants it."""
    if found.done:
        return True
    return target.kind == "Job" and not target.must_complete and found.started


def rollout_watches(app: str) -> list[Watched]:
    """What a rollout needs to see. Events carry no labels."""
    selector = app_selector(app)
    return [
        Watched("apps/v1", "Deployment", selector),
        Watched("apps/v1", "ReplicaSet", selector),
        Watched("v1", "Pod", selector),
        Watched("batch/v1", "Job", selector),
        Watched("batch/v1", "CronJob", selector),
        Watched("v1", "Event"),
    ]


class CrashLogs:
    """The last lines of containers that crashed, each run read once."""

    def __init__(self, kube: KubeClient, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._known: dict[tuple[str, str, int], str] = {}

    async def of(self, objects: Objects) -> Mapping[tuple[str, str, int], str]:
        """The lines for every container that has crashed now; older runs are forgotten."""
        wanted = {(t.pod, t.container, t.restarts) for t in crashed(objects)}
        self._known = {key: text for key, text in self._known.items() if key in wanted}
        for key in sorted(wanted - self._known.keys()):
            self._known[key] = await self._read(*key[:2])
        return self._known

    async def _read(self, pod: str, container: str) -> str:
        chunks = self._kube.logs(
            self._namespace, pod, container, tail_lines=_TAIL_LINES, timestamps=False
        )
        text = b""
        try:
            async for chunk in chunks:
                text = (text + chunk)[-_TAIL_BYTES:]
        except KubeError as error:  # the pod may be gone already; its story is told without lines
            log.debug("crash_log_unreadable", pod=pod, container=container, error=error.message)
        return text.decode("utf-8", "replace").strip()


async def watch_rollout(
    picture: Observation,
    targets: Sequence[Target],
    logs: CrashLogs,
    *,
    policy: RolloutPolicy,
    deadline: float,
    tell: Callable[[Sequence[ServiceStatus]], None],
) -> Failure | None:
    """Return None when every target has arrived, else why not.

    `picture` must watch `rollout_watches(app)`. `tell` hears the services at every change.
    """
    clock = asyncio.get_running_loop().time
    judge = RolloutJudge(policy, deadline, clock())
    told: Sequence[ServiceStatus] = ()
    while True:
        objects = Objects.seen(picture)
        tails = await logs.of(objects)
        assessed = [(target, _assess(target, objects, tails)) for target in targets]
        services = tuple(found.status for _, found in assessed)
        if services != told:
            tell(services)
            told = services
        now = clock()
        if judge.arrived(assessed, now):
            return None
        failure = judge.judge(assessed, now)
        if failure is not None:
            return failure
        await picture.changed(within=judge.next_look(clock()) + 0.01)
        # Changes come in bursts (a pod's status, its set's, its deployment's): look once.
        await asyncio.sleep(_SETTLE)


def _assess(
    target: Target, objects: Objects, tails: Mapping[tuple[str, str, int], str]
) -> Assessment:
    """Judge the very object that was applied: not one of the same name from before."""
    seen = [*objects.deployments, *objects.jobs, *objects.cron_jobs]
    for workload in seen:
        metadata = workload["metadata"]
        if metadata["uid"] == target.uid and int(metadata.get("generation", 0)) >= (
            target.generation
        ):
            found = assess(workload, objects, tails)
            return replace(found, status=replace(found.status, service=target.service))
    return Assessment(
        ServiceStatus(
            service=target.service,
            kind=target.kind,
            state=State.PENDING,
            reason="Applied",
            message="waits for the cluster to take it up",
            image=target.image,
        ),
        done=False,
        trouble=None,
    )


def _lives(target: Target, found: Assessment) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Changes whenever a process of the service is another one."""
    return target.service, tuple((pod.pod, pod.restarts) for pod in found.status.pods)


def _score(found: Assessment) -> int:
    """Grows as a rollout moves: pods that became ready, jobs that ended."""
    return found.status.ready + (100 if found.done else 0) + (1 if found.started else 0)
