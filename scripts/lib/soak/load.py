"""What the soak makes the product do, all the time: log follows that must miss nothing, terminals, deploys, cuts of the link."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import re
import tempfile
import threading
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import skerry
from skerry.errors import SkerryError
from skerry.platform.v1 import app_pb2, log_pb2

from tests.e2e.platform import Platform
from tests.e2e.waiting import wait_until

_FOLLOWS = 3
_CUT_SECONDS = 40.0  # beyond the 30 s after which an agent dials again at once
_COUNT = re.compile(rb"count (\d+)\n")
_APP_COMPOSE = b"""
services:
  counter:
    image: docker.io/library/busybox:1.36
    command: ["sh", "-c", "i=0; while true; do i=$$((i+1)); echo count $$i; usleep 20000; done"]
    stop_grace_period: 1s
"""


class Load:
    """A context manager: an environment with one app, and a thread that works on it between `start` and `stop`.

    A cut may end a terminal or refuse a deploy: that is counted. A lost or doubled log line, or a kind of work that no longer
    gets anywhere, is in `failed`.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._counts: collections.Counter[str] = collections.Counter()
        self.failed = ""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="soak-load")
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        platform, name = self._platform, f"soak-{uuid.uuid4().hex[:6]}"
        platform.cli("project", "create", "shop")
        platform.cli("env", "create", name, "--cluster", "home")
        environment = platform.json("env", "get", name)
        self._environment, self._namespace = environment["name"], environment["namespace"]
        with tempfile.TemporaryDirectory() as folder:
            compose = Path(folder) / "docker-compose.yml"
            compose.write_bytes(_APP_COMPOSE)
            platform.cli("deploy", "--env", name, "--app", "counter", "-f", str(compose), "--wait")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread.is_alive():
            self.stop()
        self._platform.kubectl("delete", "namespace", self._namespace, "--wait=false", check=False)

    def start(self) -> None:
        """Begin; returns when log lines flow."""
        self._thread.start()
        wait_until("log lines flow", lambda: self._counts["log lines"] or self.failed)

    def stop(self) -> None:
        """End; everything must have got somewhere by then."""
        self._stop.set()
        self._thread.join()
        for kind in ("log lines", "terminals", "deploys"):
            if not self._counts[kind] and not self.failed:
                self.failed = f"no {kind} in the whole time"

    @property
    def summary(self) -> str:
        """What was done."""
        return ", ".join(f"{count:,} {kind}" for kind, count in sorted(self._counts.items()))

    async def _run(self) -> None:
        platform = self._platform
        token = (platform.folder / "admin-token").read_text().strip()
        ca = platform.folder / "controlplane" / "pki" / "ca.crt"
        async with skerry.Client(f"127.0.0.1:{platform.api_port}", token, ca=ca) as client:
            app = f"{self._environment}/apps/counter"
            work = [self._follow(client, app) for _ in range(_FOLLOWS)]
            work += [
                self._again("short follows", 1.0, lambda: self._short_follow(client, app)),
                self._again("terminals", 0.5, lambda: self._terminal(client, app)),
                self._again("deploys", 3.0, lambda: self._deploy(client)),
                self._cut(),
            ]
            tasks = [asyncio.create_task(one) for one in work]
            while not self._stop.is_set() and not self.failed:
                await asyncio.sleep(0.2)
                for task in tasks:
                    if task.done() and not self.failed:
                        self.failed = repr(task.exception())
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _follow(self, client: skerry.Client, app: str) -> None:
        """One follow for the whole time: every number of every pod once, in order."""
        last: dict[str, int] = {}
        async for event in client.logs.tail(app, follow=True, tail=1):
            if isinstance(event, log_pb2.LogGap):
                raise AssertionError(f"log lines are lost: {event.message}")
            if not isinstance(event, log_pb2.LogChunk):
                continue
            for match in _COUNT.finditer(event.lines):
                number, before = int(match[1]), last.get(event.pod)
                if before is not None and number != before + 1:
                    raise AssertionError(f"log line {number} came behind {before}")
                last[event.pod] = number
                self._counts["log lines"] += 1

    async def _short_follow(self, client: skerry.Client, app: str) -> None:
        async for event in client.logs.tail(app, follow=True, tail=10):
            if isinstance(event, log_pb2.LogChunk):
                return

    async def _terminal(self, client: skerry.Client, app: str) -> None:
        word = uuid.uuid4().hex.encode()
        async with client.terminals.exec(app, ["cat"], stdin=True) as session:
            await session.write(word)
            await session.close_stdin()
            said = b"".join([piece.data async for piece in session.output()])
        if said != word:
            raise AssertionError(f"a terminal said {said!r} and not {word!r}")

    async def _deploy(self, client: skerry.Client) -> None:
        bundle = app_pb2.Bundle(
            compose_files=["docker-compose.yml"],
            files=[app_pb2.BundleFile(path="docker-compose.yml", content=_APP_COMPOSE)],
        )
        response = await client.apps.deploy(self._environment, "counter", bundle)
        async for _ in client.deployments.watch(response.deployment):
            pass

    async def _again(self, kind: str, pause: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                async with asyncio.timeout(90):
                    await work()
                self._counts[kind] += 1
            except SkerryError:
                self._counts[f"{kind} refused or cut"] += 1
            except (
                TimeoutError
            ):  # a machine busy with other things is no leak; none at all is a failure
                self._counts[f"{kind} given up"] += 1
            await asyncio.sleep(pause)

    async def _cut(self) -> None:
        """The link breaks, now with a word to both ends and now without."""
        while True:
            await asyncio.sleep(_CUT_SECONDS)
            with contextlib.suppress(SkerryError):
                if self._counts["cuts"] % 4 == 3:
                    self._platform.proxy.cut()
                    await asyncio.sleep(3)
                await asyncio.to_thread(self._platform.proxy.heal)
            self._counts["cuts"] += 1
