"""Short ways to say what a compose test needs."""

from __future__ import annotations

import base64
from dataclasses import replace
from textwrap import dedent

from agent.compose import Context, Manifest, Plan, Severity, SourceFile, plan

CONTEXT = Context(app="shop", namespace="ns", project="p1", environment="prod")


def convert(*texts: str, **context: object) -> Plan:
    """The plan of compose texts, given as files compose.yml, override-1.yml, …"""
    sources = [
        SourceFile(f"override-{i}.yml" if i else "compose.yml", dedent(text).encode())
        for i, text in enumerate(texts)
    ]
    return plan(sources, replace(CONTEXT, **context))


def service(body: str, **context: object) -> Plan:
    """The plan of one service `web` with image `app` and the given keys."""
    lines = dedent(body).strip("\n").split("\n")
    text = "services:\n  web:\n    image: app\n" + "".join(f"    {line}\n" for line in lines)
    return plan([SourceFile("compose.yml", text.encode())], replace(CONTEXT, **context))


def accepted(result: Plan) -> Plan:
    """The plan itself, once it is sure that nothing was refused."""
    assert not result.rejected, [str(d) for d in result.diagnostics]
    return result


def codes(result: Plan, severity: Severity | None = None) -> list[str]:
    return [d.code for d in result.diagnostics if severity in (None, d.severity)]


def errors(result: Plan) -> list[str]:
    return codes(result, Severity.ERROR)


def find(result: Plan, kind: str, name: str = "") -> Manifest:
    """The only object of a kind, or the one of that name."""
    found = [
        m
        for m in accepted(result).manifests
        if m["kind"] == kind and name in ("", m["metadata"]["name"])
    ]
    assert len(found) == 1, [(m["kind"], m["metadata"]["name"]) for m in result.manifests]
    return found[0]


def names(result: Plan, kind: str) -> list[str]:
    return [m["metadata"]["name"] for m in accepted(result).manifests if m["kind"] == kind]


def pod(result: Plan, name: str = "web") -> dict:
    """The pod spec of a Deployment."""
    return find(result, "Deployment", name)["spec"]["template"]["spec"]


def container(result: Plan, name: str = "web") -> dict:
    return pod(result, name)["containers"][0]


def environment(result: Plan, name: str = "shop-web-env") -> dict[str, str]:
    data = find(result, "Secret", name)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}
