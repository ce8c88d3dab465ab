"""`scripts/up` and `scripts/down`: parses the arguments and runs the steps in order."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from up.platform import AGENT, CONTROLPLANE, Platform, state_folder
from up.steps import Checkout, StepFailed, Steps
from up.tour import Tour

# The dev cluster pulls nothing: images are those that it was given.
OWN_CLUSTER_IMAGES = {"SKERRY_AGENT_WAIT_IMAGE": "docker.io/library/busybox:1.36"}


def main() -> int:
    arguments = _parse()
    steps = Steps()
    checkout = Checkout(Path(__file__).resolve().parents[3])
    platform = Platform(checkout, steps, state_folder())
    try:
        if arguments.down:
            _down(arguments, checkout, platform)
        else:
            _up(arguments, checkout, steps, platform)
    except StepFailed as error:
        print(f"up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "up: interrupted; what was started keeps running, scripts/down stops it",
            file=sys.stderr,
        )
        return 130
    return 0


def _up(
    arguments: argparse.Namespace, checkout: Checkout, steps: Steps, platform: Platform
) -> None:
    devcluster = str(checkout.root / "scripts" / "devcluster")
    checkout.show(devcluster, "up", *(["--k3s"] if arguments.k3s else []))
    kubeconfig = checkout.read(devcluster, "kubeconfig").strip()
    steps.say("the cluster is up")
    platform.start_controlplane()
    platform.login()
    own = checkout.read_json(devcluster, "status", "-o", "json").get("kind") == "own"
    platform.start_agent(kubeconfig, OWN_CLUSTER_IMAGES if own else {})
    tour = Tour(checkout, steps, kubeconfig=kubeconfig, local_images=own)
    if not arguments.no_tour:
        tour.deploy()
        tour.show()
    steps.say("everything is up. Where to look:")
    print(f"""
  .venv/bin/skerry status --project demo --env dev     what runs
  .venv/bin/skerry cluster addons dev --watch          the add-ons, live
  .venv/bin/skerry deploy -f YOUR/docker-compose.yml   your own app
  kubectl --kubeconfig {kubeconfig} get pods -A
  logs: {platform.logs(CONTROLPLANE)}
        {platform.logs(AGENT)}
  scripts/down [--all]                                 stop
""")


def _down(arguments: argparse.Namespace, checkout: Checkout, platform: Platform) -> None:
    platform.stop()
    if arguments.all or arguments.purge:
        purge = ["--purge"] if arguments.purge else []
        checkout.show(str(checkout.root / "scripts" / "devcluster"), "down", *purge)
    if arguments.purge:
        platform.purge()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/up",
        description="Brings up a Kubernetes, the control plane and an agent on this machine, and deploys the guestbook. "
        "Safe to run again: what runs already is left alone.",
    )
    parser.add_argument("--k3s", action="store_true", help="install K3s when there is no cluster")
    parser.add_argument("--no-tour", action="store_true", help="do not deploy the guestbook")
    parser.add_argument("--down", action="store_true", help="stop what was started (scripts/down)")
    parser.add_argument("--all", action="store_true", help="with --down: the dev cluster too")
    parser.add_argument("--purge", action="store_true", help="with --down: all data too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
