"""A secret is set, deployed and used, and then looked for everywhere: it is in the app's Secrets and its container, and nowhere else."""

from __future__ import annotations

import base64
import json
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.platform import Platform

BUSYBOX = "docker.io/library/busybox:1.36"
APP = f"""
name: canary
services:
  web:
    image: {BUSYBOX}
    command: ["sh", "-c", "sleep 1000000"]
    stop_grace_period: 1s
    environment: [TOKEN]
"""
MISUSED = f"""
name: misused
services:
  web:
    image: {BUSYBOX}
    ports: ["${{TOKEN}}"]
    labels: {{note: "${{TOKEN}}"}}
    command: ["echo", "${{TOKEN}}"]
"""


class Canary:
    """A value that is nowhere else, with characters that each way of writing changes."""

    def __init__(self) -> None:
        self.value = f'c4n4ry-{secrets.token_hex(12)}"/+ü&end'
        # What is alike in all of them comes first: the value may have been cut.
        self.forms = {
            self.value.split('"')[0].encode(),
            *(self._base64(b"x" * n) for n in range(3)),
            json.dumps(self.value)[1:-1].encode(),
            quote(self.value, safe="").encode(),
        }

    def found_in(self, content: bytes) -> bool:
        return any(form in content for form in self.forms)

    def _base64(self, before: bytes) -> bytes:
        """As it is in the middle of something encoded, whatever stands before it."""
        encoded = base64.b64encode(before + self.value.encode())
        return encoded[4 if before else 0 : -4]


@pytest.fixture
def canary() -> Canary:
    return Canary()


def files_with(canary: Canary, folder: Path) -> list[str]:
    return [
        str(file.relative_to(folder))
        for file in sorted(folder.rglob("*"))
        if file.is_file() and canary.found_in(file.read_bytes())
    ]


def objects_with(canary: Canary, platform: Platform, namespace: str) -> Iterator[tuple[str, str]]:
    """Kind and name of the objects in the cluster that hold it: all kinds of the namespace, and Secrets and ConfigMaps of all others."""
    kinds = platform.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    wanted = ",".join(kind for kind in kinds if "metrics.k8s.io" not in kind)
    for argv in (("-n", namespace, wanted), ("-A", "configmaps,secrets,events")):
        found = json.loads(
            platform.kubectl("get", *argv, "-o", "json", "--ignore-not-found") or "{}"
        )
        for item in found.get("items", []):
            text = json.dumps(item, ensure_ascii=False).encode()
            if canary.found_in(text) or canary.found_in(json.dumps(item).encode()):
                yield item["kind"], f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def test_a_secret_is_found_only_where_it_must_be(
    platform: Platform, environment: str, project: Path, canary: Canary
) -> None:
    compose = project / "compose.yaml"
    compose.write_text(APP)
    said: dict[str, bytes] = {}

    def run(*argv: str, stdin: bytes | None = None, check: bool = True) -> bytes:
        done = platform.cli(*argv, stdin=stdin, check=check)
        said[" ".join(argv)] = done.stdout + done.stderr
        return done.stdout

    where = ("--project", "shop", "--env", environment)
    namespace = platform.json("env", "get", environment)["namespace"]
    run("secret", "set", "TOKEN", *where, "--stdin", stdin=canary.value.encode() + b"\n")
    run("plan", *where, "-f", str(compose))
    run("deploy", *where, "-f", str(compose), "--wait")

    # It is what the container got.
    got = platform.cli("exec", *where, "canary/web", "--", "sh", "-c", 'echo "$TOKEN"').stdout
    assert got.decode().rstrip("\n") == canary.value

    # Where it may not stand, it is refused or planned without being quoted.
    misused = project / "misused.yaml"
    misused.write_text(MISUSED)
    run("plan", *where, "-f", str(misused), check=False)
    run("check", *where, "-f", str(misused), check=False)
    run("deploy", *where, "-f", str(misused), "--wait", check=False)
    misused.write_text(MISUSED.replace('ports: ["${TOKEN}"]', 'expose: ["80"]'))
    run("plan", *where, "-f", str(misused), "-o", "json", check=False)

    # Everything that the API tells of it.
    run("variable", "list", *where, "-o", "json")
    run("variable", "list", *where, "--app", "canary", "--effective", "-o", "json")
    run("secret", "list", *where)
    run("app", "list", *where, "-o", "json")
    run("env", "list", *where[:2], "-o", "json")
    run("operation", "list", "-o", "json")
    run("app", "get", "canary", *where, "-o", "json")
    run("status", *where, "-o", "json")
    for history in ("deployments", "revisions"):
        run(history, "canary", *where, "-o", "json")
        run(history, "misused", *where, "-o", "json", check=False)
    run("audit", "export")
    assert b"TOKEN" in said["audit export"]
    with urllib.request.urlopen(f"http://127.0.0.1:{platform.http_port}/metrics") as metrics:
        said["/metrics"] = metrics.read()
    assert [command for command, text in said.items() if canary.found_in(text)] == []
    assert any(b"<secret TOKEN>" in text for text in said.values()), "it was left out, not missed"

    # Both programs: data folders with databases, logs, arguments and environment.
    assert files_with(canary, platform.folder) == []
    for process in (platform.controlplane, platform.agent):
        for name in ("cmdline", "environ"):
            assert not canary.found_in(Path(f"/proc/{process.pid}/{name}").read_bytes())

    # The cluster.
    found = sorted(set(objects_with(canary, platform, namespace)))
    assert {kind for kind, _ in found} == {"Secret"}
    assert all(name.startswith(f"{namespace}/") for _, name in found)
    assert found, "the app's own Secret holds it"

    # A rollback and a restart of the agent in the middle change nothing of that.
    run("secret", "set", "TOKEN", *where, "--stdin", stdin=b"another value")
    run("deploy", *where, "-f", str(compose), "--wait")
    run("rollback", "canary", "--to", "1", *where, "--wait")
    got = platform.cli("exec", *where, "canary/web", "--", "sh", "-c", 'echo "$TOKEN"').stdout
    assert got.decode().rstrip("\n") == canary.value
    assert [command for command, text in said.items() if canary.found_in(text)] == []
    assert files_with(canary, platform.folder) == []
