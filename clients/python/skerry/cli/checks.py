"""The checks of `skerry doctor`, from near to far; a failed one ends those that build on it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum

import skerry
from skerry import errors, names
from skerry.cli.exit_codes import CliError
from skerry.cli.output import words
from skerry.cli.run import Run
from skerry.connection import Address, AddressError
from skerry.platform.v1 import cluster_pb2, server_pb2

MOST_SKEW = 5.0
"""Seconds between the clocks; more makes log times and token lives misleading."""
PATIENCE = 5.0
"""Seconds for a name or a connection."""


class Verdict(Enum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at and what was found."""

    name: str
    verdict: Verdict
    message: str
    fix: str = ""
    """What to do, when something is to be done."""


async def examine(run: Run) -> AsyncIterator[Check]:
    """The findings, in order."""
    try:
        server = run.settings.require_server()
    except CliError as error:
        yield Check("configuration", Verdict.FAILED, str(error), "skerry login SERVER")
        return
    yield _configuration(run)
    reached = await _reach(server)
    yield reached
    if reached.verdict is Verdict.FAILED:
        return
    async with run.client() as client:
        try:
            before = run.around.now()
            info = await client.server.info()
        except errors.SkerryError as error:
            yield _refused(error)
            return
        tls = "without TLS" if run.settings.insecure.value else "over TLS"
        yield Check("login", Verdict.OK, f"{info.principal}, {tls}")
        middle = before + (run.around.now() - before) / 2
        yield _clock(info, middle.timestamp())
        yield _version(info)
        async for check in _clusters(client):
            yield check


def _configuration(run: Run) -> Check:
    settings = run.settings
    if run.store.others_can_read():
        return Check(
            "configuration",
            Verdict.WARNING,
            f"other users can read {run.store.path}, which holds tokens",
            f"chmod 600 {run.store.path}",
        )
    return Check(
        "configuration",
        Verdict.OK,
        f"server {settings.server.value} from {settings.server.origin}",
    )


async def _reach(server: str) -> Check:
    try:
        address = Address.parse(server)
    except AddressError as error:
        return Check("connection", Verdict.FAILED, str(error), "skerry login SERVER")
    host = address.host.strip("[]")
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, address.port)
    except socket.gaierror as error:
        return Check(
            "connection",
            Verdict.FAILED,
            f"{host} is not a known name: {error.strerror}",
            "check the name, or give the server's address: skerry login ADDRESS",
        )
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        return Check(
            "connection",
            Verdict.FAILED,
            f"{address} cannot be reached: {reason}",
            "is the control plane running (skerry-controlplane serve), and the port open?",
        )
    writer.close()
    return Check("connection", Verdict.OK, f"{address} accepts connections")


def _refused(error: errors.SkerryError) -> Check:
    if isinstance(error, errors.Unauthenticated):
        return Check(
            "login", Verdict.FAILED, error.message, "skerry login SERVER with a valid token"
        )
    if isinstance(error, errors.Unimplemented):
        return Check("login", Verdict.FAILED, error.message, "is this a Skerry server?")
    return Check("login", Verdict.FAILED, error.message, "the server's log says more")


def _clock(info: server_pb2.GetServerInfoResponse, here: float) -> Check:
    skew = info.server_time.ToNanoseconds() / 1e9 - here
    if abs(skew) > MOST_SKEW:
        word = "ahead of" if skew > 0 else "behind"
        return Check(
            "clock",
            Verdict.WARNING,
            f"the server is {abs(skew):.0f} s {word} this machine",
            "let both take the time from NTP (timedatectl set-ntp true)",
        )
    return Check("clock", Verdict.OK, f"{abs(skew):.1f} s apart")


def _version(info: server_pb2.GetServerInfoResponse) -> Check:
    message = f"client {skerry.__version__}, server {info.version}"
    same = info.version.split(".")[:2] == skerry.__version__.split(".")[:2]
    if same:
        return Check("version", Verdict.OK, message)
    return Check("version", Verdict.WARNING, message, "bring both to the same minor version")


async def _clusters(client: skerry.Client) -> AsyncIterator[Check]:
    found = [cluster async for cluster in client.clusters.list()]
    if not found:
        yield Check("clusters", Verdict.WARNING, "there are none", "skerry cluster create NAME")
    for cluster in found:
        name = names.last(cluster.name)
        word, _ = words.connection(cluster.connection)
        if cluster.connection == cluster_pb2.CONNECTION_STATE_ONLINE:
            yield Check(f"cluster {name}", Verdict.OK, f"{word} {_facts(cluster)}".strip())
        elif cluster.connection == cluster_pb2.CONNECTION_STATE_DEGRADED:
            problems = "; ".join(problem.message for problem in cluster.link.problems)
            yield Check(
                f"cluster {name}",
                Verdict.WARNING,
                f"{word}: {problems}",
                f"skerry cluster get {name}",
            )
        elif cluster.connection == cluster_pb2.CONNECTION_STATE_NEVER_JOINED:
            yield Check(
                f"cluster {name}",
                Verdict.WARNING,
                "no agent has ever joined",
                f"skerry cluster join-token {name}",
            )
        else:
            yield Check(
                f"cluster {name}",
                Verdict.FAILED,
                f"its agent is {word}",
                "see the agent's log; skerry-agent doctor checks its side",
            )
        async for add_on in client.clusters.list_add_ons(cluster.name):
            if add_on.state == cluster_pb2.ADD_ON_STATE_FAILED:
                yield Check(
                    f"add-on {names.last(add_on.name)}",
                    Verdict.WARNING,
                    add_on.message or "failed",
                    f"skerry cluster addons {name} shows its log",
                )


def _facts(cluster: cluster_pb2.Cluster) -> str:
    facts = cluster.facts
    return ", ".join(
        filter(
            None,
            [
                facts.kubernetes_version,
                facts.distribution,
                f"{len(facts.nodes)} nodes" if facts.nodes else "",
            ],
        )
    )
