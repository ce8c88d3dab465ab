"""The agent as a Deployment, from the manifests and the image that users get: it joins, deploys, and outlives its pod."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from skerry.wire.join_token import JoinToken

from tests.e2e.platform import AGENT_SETTINGS, EXAMPLES, ROOT, Platform

NAMESPACE = ("-n", "skerry-system")
CLUSTER = "inside"


@pytest.fixture(scope="module")
def inside(platform: Platform) -> Iterator[str]:
    """The id of a cluster whose agent runs in a pod."""
    subprocess.run(
        [ROOT / "scripts" / "devcluster", "image", "build", "agent"],
        check=True,
        capture_output=True,
    )
    platform.cli("cluster", "create", CLUSTER)
    token = JoinToken.decode(platform.json("cluster", "join-token", CLUSTER)["token"])
    token = replace(token, address=f"{platform.node_ip}:{platform.agent_port}")
    file = platform.folder / "join-token-inside"
    file.write_text(token.encode())
    platform.kubectl("create", "namespace", "skerry-system", check=False)
    platform.kubectl(
        *NAMESPACE,
        "create",
        "secret",
        "generic",
        "skerry-agent-join-token",
        f"--from-file=join-token={file}",
    )
    try:
        platform.kubectl("apply", "-k", str(ROOT / "deploy" / "agent"))
        settings = [
            f"{name}={value}" for name, value in AGENT_SETTINGS.items() if "METRICS" not in name
        ]
        platform.kubectl(*NAMESPACE, "set", "env", "deployment/skerry-agent", *settings)
        platform.wait_connection("ONLINE", timeout=120, cluster=CLUSTER)
        yield CLUSTER
    finally:
        platform.kubectl(
            *NAMESPACE, "delete", "deployment/skerry-agent", "persistentvolumeclaim/skerry-agent",
            "secret/skerry-agent-join-token", "--ignore-not-found",
        )  # fmt: skip


def test_it_deploys_with_the_rights_it_is_given_and_outlives_its_pod(
    platform: Platform, inside: str
) -> None:
    platform.cli("env", "create", "inside", "--cluster", inside)
    namespace = platform.json("env", "get", "inside")["namespace"]
    deploy = [
        "deploy", "--env", "inside", "-f", str(EXAMPLES / "static-site" / "docker-compose.yml"),
        "--env-file", str(EXAMPLES / "dev-images.env"), "--wait",
    ]  # fmt: skip
    try:
        platform.cli(*deploy)
        assert b"built" in platform.cli("logs", "--env", "inside", "static-site").stdout

        # The identity is on a volume: the next pod needs no new token.
        platform.kubectl(*NAMESPACE, "delete", "pod", "-l", "app.kubernetes.io/name=skerry-agent")
        platform.kubectl(
            *NAMESPACE, "rollout", "status", "deployment/skerry-agent", "--timeout=120s"
        )
        platform.wait_connection("ONLINE", timeout=120, cluster=inside)
        page = platform.cli(
            "exec",
            "--env",
            "inside",
            "static-site/web",
            "--",
            "wget",
            "-q",
            "-O",
            "-",
            "http://web:8080/",
        ).stdout
        assert b"A small site" in page
        said = platform.kubectl(*NAMESPACE, "logs", "deployment/skerry-agent")
        assert "Forbidden" not in said
    finally:
        platform.kubectl("delete", "namespace", namespace, "--wait=false", check=False)
