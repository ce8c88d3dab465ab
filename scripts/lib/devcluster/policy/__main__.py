"""The enforcer's process: three mirrors, one task that turns their content into rules.

Started by `up` as `python -m devcluster.policy`. When it ends its last rules stay: a dead enforcer
must not open what was closed.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
import sys
import time
from pathlib import Path

import aiohttp

from devcluster import host
from devcluster.errors import DevClusterError
from devcluster.policy import model, rules
from devcluster.policy.watch import Mirror

# Changes come in bursts (a rollout, a list); one transaction for all of a burst.
SETTLE = 0.05


async def enforce(server: str, pki: Path) -> None:
    """Keep the table right until cancelled."""
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(str(pki / "policy.crt"), str(pki / "policy.key"))
    changed = asyncio.Event()
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(base_url=server, connector=connector) as session:
        pods = Mirror(session, "/api/v1/pods", changed.set)
        namespaces = Mirror(session, "/api/v1/namespaces", changed.set)
        policies = Mirror(session, "/apis/networking.k8s.io/v1/networkpolicies", changed.set)
        async with asyncio.TaskGroup() as group:
            for mirror in (pods, namespaces, policies):
                group.create_task(mirror.run())
            group.create_task(_apply(changed, pods, namespaces, policies))


async def _apply(
    changed: asyncio.Event, pods: Mirror, namespaces: Mirror, policies: Mirror
) -> None:
    present = ""
    while True:
        await changed.wait()
        await asyncio.sleep(SETTLE)
        changed.clear()
        if not (pods.synced and namespaces.synced and policies.synced):
            continue
        wanted = rules.table(
            [pod for item in pods if (pod := model.pod(item)) is not None],
            {item["metadata"]["name"]: item["metadata"].get("labels", {}) for item in namespaces},
            [model.policy(item) for item in policies],
        )
        if wanted == present:
            continue
        started = time.monotonic()
        try:
            await asyncio.to_thread(host.nft, wanted)
        except DevClusterError as error:
            print(f"{error}\n{wanted}", file=sys.stderr)
            continue
        present = wanted
        took = (time.monotonic() - started) * 1000
        print(
            f"rules replaced: {wanted.count(': jump ')} chains in use, {took:.0f} ms",
            file=sys.stderr,
        )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="devcluster.policy")
    parser.add_argument("--server", required=True)
    parser.add_argument("--pki", required=True, type=Path)
    arguments = parser.parse_args()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await enforce(arguments.server, arguments.pki)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        sys.exit(0)
