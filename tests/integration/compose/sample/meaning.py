"""Does a real app on the cluster mean what Compose means? Used by the tests of this folder.

Every container is a probe (see `probe`). Expectations come from `tests.unit.compose.oracle`, a
reading of the files without the converter; only the ports come from the plan, as most files do not
name them.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from agent.kube import KubeClient, Manifest
from tests.integration.compose.sample.app import ADDED, SampleApp, gave_up, ready, started, when
from tests.unit.compose.corpus.files import ROOT

AT_ONCE = 4


async def findings(kube: KubeClient, names: Sequence[str]) -> list[str]:
    """What is wrong with apps of the corpus, each named by its folder or compose file.

    Every app has a namespace of its own, which is gone afterwards.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    run = f"{random.randrange(16**5):05x}"

    async def one(index: int, name: str) -> list[str]:
        async with gate:
            namespace = f"test-sample-{run}-{index}"
            app = SampleApp(kube, namespace, _compose_file(name))
            try:
                return [f"{name}: {text}" for text in await problems(app)]
            finally:
                await kube.delete("v1", "Namespace", namespace)

    async with asyncio.TaskGroup() as group:  # a broken test ends all apps and their namespaces
        tasks = [group.create_task(one(i, n), name=n) for i, n in enumerate(names)]
    return [text for task in tasks for text in task.result()]


def _compose_file(name: str) -> Path:
    path = ROOT / name
    if path.is_file():
        return path
    (found,) = (p for p in path.iterdir() if p.stem in ("compose", "docker-compose"))
    return found


async def problems(app: SampleApp) -> list[str]:
    """Everything about an app that is not as Compose promises."""
    failure = await app.deploy(1)
    if failure:
        return [failure]
    pods = {name: await app.pods(name) for name in app.facts}
    jobs = await app.jobs()
    found = [*await what_was_given(app, pods), *order(app, pods, jobs)]
    found += await names_resolve(app, pods)
    found += await other_content(app, pods)
    for name in app.staying:
        for pod in pods[name]:
            found += [
                f"{name}: {line}"
                for line in (await app.run(pod, _write(app, pod, name))).split("\n")
                if line
            ]
    failure = await app.deploy(2)
    if failure:
        return [*found, f"the second deploy: {failure}"]
    for name in app.staying:
        for pod in await app.pods(name):
            if pod["metadata"]["uid"] in {p["metadata"]["uid"] for p in pods[name]}:
                found.append(f"{name}: the second deploy made no new pod")
            found += [f"{name}: {line}" for line in await lost(app, pod, name)]
    return [*found, *await ran_once(app, jobs)]


async def what_was_given(app: SampleApp, pods: dict[str, list[Manifest]]) -> list[str]:
    found: list[str] = []
    for name, own in pods.items():
        for pod in own:
            told = await app.told(pod)
            added = {k for k in told.environment if k.startswith(ADDED)}
            expected = app.expected_environment(name)
            given = {k: v for k, v in told.environment.items() if k in expected or k not in added}
            if given != expected:
                found.append(f"{name}: environment {given} is not {expected}")
            if told.argv != app.expected_argv(name):
                found.append(f"{name}: argv {told.argv} is not {app.expected_argv(name)}")
            missing = set(app.expected_mounts(name)) - set(told.mounts)
            if missing:
                found.append(f"{name}: nothing is mounted at {missing}")
    return found


def order(app: SampleApp, pods: dict[str, list[Manifest]], jobs: list[Manifest]) -> list[str]:
    found: list[str] = []
    ends = {job["metadata"]["labels"]["skerry.dev/service"]: job["status"] for job in jobs}
    moments: dict[str, Callable[[str], Iterable[datetime]]] = {
        "service_started": lambda n: (started(pod) for pod in pods[n]),
        "service_healthy": lambda n: (ready(pod) for pod in pods[n]),
        "service_completed_successfully": lambda n: (
            when(ends[app.facts[n].name]["completionTime"]),
        ),
    }
    for name, own in pods.items():
        for dependency, condition in app.dependencies(name).items():
            bounded = condition == "service_started"
            waiting = [pod for pod in own if not (bounded and gave_up(pod))]
            first = min((started(pod) for pod in waiting), default=None)
            last = max(moments[condition](dependency), default=None)
            if first is not None and last is not None and first < last:
                found.append(f"{name} started before {dependency} was {condition}")
    return found


async def names_resolve(app: SampleApp, pods: dict[str, list[Manifest]]) -> list[str]:
    """From every service, every name of those it shares a network with; on their ports where there
    are some. Others do not answer."""
    unresolved = {d.message.split('"')[1] for d in app.plan.diagnostics if d.code == "CMP133"}
    found: list[str] = []
    for name in app.staying:
        script = ["true"]
        for other in app.staying:
            joined = bool(app.networks(name) & app.networks(other))
            ports = [p.port for p in app.facts[other].ports if p.protocol == "tcp"]
            for alias in sorted(app.names(other) - unresolved):
                script += [_reach(alias, port, joined) for port in ports]
                if not ports and joined:
                    script.append(_resolve(alias))
        answer = await app.run(pods[name][0], "\n".join(script))
        found += [f"{name}: {line}" for line in answer.splitlines()]
    return found


def _reach(name: str, port: int, wanted: bool) -> str:
    attempt = f"nc -w 5 {name} {port} -e true >/dev/null 2>&1"
    if wanted:
        return f"{attempt} || echo {name}:{port} does not answer"
    return f"{attempt} && echo {name}:{port} answers"


def _resolve(name: str) -> str:
    """Some port is tried: "bad address" is the only answer that is wrong."""
    return f"nc -w 5 {name} 9 -e true 2>&1 | grep -q 'bad address' && echo {name} is not known"


async def other_content(app: SampleApp, pods: dict[str, list[Manifest]]) -> list[str]:
    """Configs and secrets whose file says something else in the container."""
    found: list[str] = []
    for name in app.staying:
        for path, content in app.expected_grants(name):
            answer = await app.run(pods[name][0], f"base64 -w 0 {path}")
            if answer != base64.b64encode(content).decode():
                found.append(f"{name}: {path} holds other content: {answer!r}")
    return found


def _claims(pod: Manifest) -> list[tuple[str, str]]:
    """Claim and mount path of every volume the pod may write to."""
    spec = pod["spec"]
    claims = {
        v["name"]: v["persistentVolumeClaim"]["claimName"]
        for v in spec.get("volumes", ())
        if "persistentVolumeClaim" in v
    }
    return [
        (claims[mount["name"]], mount["mountPath"])
        for mount in spec["containers"][0].get("volumeMounts", ())
        if mount["name"] in claims and not mount.get("readOnly")
    ]


def _written(app: SampleApp, pod: Manifest, service: str) -> set[str]:
    """Where a service may write what has to stay."""
    return {path for _, path in (*_claims(pod), *app.named_volumes(service))}


def _write(app: SampleApp, pod: Manifest, service: str) -> str:
    paths = _written(app, pod, service)
    return "\n".join(f"echo {service} >{path}/.probe-{service} || true" for path in paths)


async def lost(app: SampleApp, pod: Manifest, service: str) -> list[str]:
    """What was written before and is not there any more, by any service that has the volume.

    The file says who shares its named volumes; for all others the plan does.
    """
    writing = {name for name in app.staying if app.facts[name].replicas}
    original = {f.name: f.original_name for f in app.facts.values()}
    claimed = {v.claim: {original[writer] for writer in v.services} for v in app.plan.volumes}
    wanted = {f"{path} {w}" for claim, path in _claims(pod) for w in claimed[claim] & writing}
    for volume, path in app.named_volumes(service):
        sharing = {w for w in writing if volume in dict(app.named_volumes(w))}
        wanted |= {f"{path} {writer}" for writer in sharing}
    script = [
        f"cd {path} && ls -a . | sed -n 's#^.probe-#{path} #p'"
        for path in _written(app, pod, service)
    ]
    answer = await app.run(pod, "\n".join(script) or "true")
    return [f"lost {line}" for line in sorted(wanted - set(answer.splitlines()))]


async def ran_once(app: SampleApp, before: list[Manifest]) -> list[str]:
    found: list[str] = []
    after = {job["metadata"]["name"]: job for job in await app.jobs()}
    for job in before:
        name = job["metadata"]["name"]
        now = after.get(name)
        if now is None or now["metadata"]["uid"] != job["metadata"]["uid"]:
            found.append(f"the job {name} was made again")
        elif now["status"].get("succeeded") != 1 or now["status"].get("failed"):
            found.append(f"the job {name} did not succeed once: {now['status']}")
    if len(after) != len(before):
        found.append(f"{len(before)} jobs became {len(after)}")
    return found
