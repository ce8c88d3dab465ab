"""The main job: deploys the guestbook and shows its page, its log, a command in it and the add-ons. Called by `__main__`."""

from __future__ import annotations

from up.platform import CLUSTER
from up.steps import Checkout, Steps

PROJECT = "demo"
ENVIRONMENT = "dev"
SIGN = (
    "import urllib.parse as p, urllib.request as u;"
    "u.urlopen('http://127.0.0.1:8000', p.urlencode({'author': 'Skerry', 'words': 'first light'}).encode())"
)


class Tour:
    """What a newcomer would try first, in order."""

    def __init__(
        self, checkout: Checkout, steps: Steps, *, kubeconfig: str, local_images: bool
    ) -> None:
        self._checkout = checkout
        self._steps = steps
        self._kubeconfig = kubeconfig
        self._local_images = local_images
        self._skerry = checkout.program("skerry")

    def deploy(self) -> None:
        here = ("--project", PROJECT)
        if not self._checkout.succeeds(self._skerry, "project", "get", PROJECT):
            self._checkout.run(self._skerry, "project", "create", PROJECT)
        if not self._checkout.succeeds(self._skerry, "env", "get", ENVIRONMENT, *here):
            self._checkout.run(
                self._skerry, "env", "create", ENVIRONMENT, *here, "--cluster", CLUSTER
            )
        images = ("--env-file", "examples/dev-images.env") if self._local_images else ()
        self._checkout.show(
            self._skerry, "deploy", *here, "--env", ENVIRONMENT,
            "-f", "examples/guestbook/docker-compose.yml",
            "--env-file", "examples/guestbook/example.env", *images, "--wait",
        )  # fmt: skip
        self._steps.say("the guestbook is READY")

    def show(self) -> None:
        where = ("--project", PROJECT, "--env", ENVIRONMENT)
        self._checkout.run(
            self._skerry, "exec", *where, "guestbook/web", "--", "python3", "-c", SIGN
        )
        self._steps.say("its page, fetched through the cluster:")
        print(self._page().strip())
        self._steps.say("its log:")
        self._checkout.show(self._skerry, "logs", *where, "guestbook", "--tail", "3")
        self._steps.say("a command in it:")
        self._checkout.show(
            self._skerry, "exec", *where, "guestbook/db", "--",
            "psql", "-U", "guestbook", "-c", "SELECT author, words, answer FROM entries ORDER BY id DESC LIMIT 3",
        )  # fmt: skip
        self._checkout.show(self._skerry, "status", *where, "guestbook")
        self._steps.say("the add-ons; what a first deploy does not need goes on installing:")
        self._checkout.show(self._skerry, "cluster", "addons", CLUSTER)

    def _page(self) -> str:
        """Read through the API server's proxy, which reaches the pod over the pod network."""
        environment = self._checkout.read_json(
            self._skerry, "env", "get", ENVIRONMENT, "--project", PROJECT, "-o", "json"
        )
        kubectl = self._checkout.read(
            str(self._checkout.root / "scripts" / "devcluster"), "path", "kubectl"
        ).strip()
        return self._checkout.read(
            kubectl, "--kubeconfig", self._kubeconfig, "get", "--raw",
            f"/api/v1/namespaces/{environment['namespace']}/services/web:8000/proxy/",
        )  # fmt: skip
