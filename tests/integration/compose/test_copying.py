"""An empty volume shows the files of the image, in pods of a real cluster."""

from __future__ import annotations

from agent.compose import Context, SourceFile, plan
from agent.kube import KubeClient
from tests.integration.compose.test_meaning import IMAGE, deploy, kube, namespace, pytestmark

__all__ = ["kube", "namespace", "pytestmark"]

# The first image has no shell: only the program and what it needs.
COMPOSE = f"""
services:
  bare:
    image: registry.k8s.io/coredns/coredns:v1.14.7
    command: [-conf=/Corefile]
    configs: [{{source: corefile, target: /Corefile}}]
    expose: ["5353"]
    volumes: ["etc:/etc"]
  web:
    image: {IMAGE}
    user: "1000:1000"
    read_only: true
    stop_grace_period: 0s
    depends_on: [bare]
    command:
      - sh
      - -c
      - |
        head -n 1 /etc/passwd | cut -d: -f1
        touch /etc/mine && echo "writable=$$(stat -c %g /etc/mine)"
        [ -n "$$(ls -A /bare)" ] && echo "filled without a shell"
        [ -z "$$(ls -A /var/spool)" ] && echo "nocopy is empty"
        echo done
        sleep 3600
    volumes:
      - /etc
      - etc:/bare:ro
      - {{type: volume, target: /var/spool, volume: {{nocopy: true}}}}
    deploy: {{replicas: 2}}
volumes: {{etc: }}
configs: {{corefile: {{content: ".:5353 {{\\n  errors\\n}}\\n"}}}}
"""


async def test_an_empty_volume_shows_the_files_of_the_image(
    kube: KubeClient, namespace: str
) -> None:
    context = Context(app="filled", namespace=namespace, wait_image=IMAGE)
    result = plan([SourceFile("compose.yml", COMPOSE.encode())], context)
    assert not result.rejected, [str(d) for d in result.diagnostics]
    await deploy(kube, result)
    pods = await kube.list("v1", "Pod", namespace, "skerry.dev/service=web")
    assert len(pods) == 2
    for pod in pods:
        log = b""
        name = pod["metadata"]["name"]
        async for chunk in kube.logs(namespace, name, "web", follow=True, timestamps=False):
            log += chunk
            if log.endswith(b"done\n"):
                break
        assert log.decode().splitlines() == [
            *("root", "writable=1000", "filled without a shell", "nocopy is empty", "done"),
        ]
