"""The command line of the dev cluster. `scripts/devcluster` calls `main`; `docs/devcluster.md` describes it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from devcluster import addons, down, k3s_installer, logs, status, up
from devcluster.cluster import BACKGROUND, Cluster, k3s_store
from devcluster.display import Display
from devcluster.errors import DevClusterError, NotReadyError
from devcluster.image.definition import Definitions
from devcluster.image.store import ImageStore
from devcluster.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 1 with a message on an error, 130 when interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    # kubectl's own options must reach it untouched, so they are kept from the parser.
    cut = 1 if words[:1] == ["kubectl"] else len(words)
    arguments = _parser().parse_args(words[:cut])
    arguments.rest = words[cut:]
    try:
        settings = Settings.from_environment(os.environ)
        cluster = Cluster.of(settings, Display(sys.stderr))
        return int(arguments.command(cluster, arguments))
    except DevClusterError as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("devcluster: interrupted; run it again to go on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="devcluster", description="A real Kubernetes on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("up", help="bring a cluster up, or find the one to use")
    command.add_argument(
        "--k3s", action="store_true", help="install the official K3s if there is none"
    )
    command.add_argument(
        "--wait-all", action="store_true", help="wait for what is built behind it, too"
    )
    command.set_defaults(command=_up)

    command = commands.add_parser("wait", help="wait until components are ready")
    command.add_argument(
        "names", nargs="+", metavar="NAME", help="a program, or an add-on such as garage"
    )
    command.add_argument("--timeout", type=float, default=1800, metavar="SECONDS")
    command.set_defaults(command=lambda cluster, given: _wait(cluster, given.names, given.timeout))

    command = commands.add_parser("down", help="stop everything; data stay")
    command.add_argument("--purge", action="store_true", help="delete the cluster's data as well")
    command.set_defaults(command=_down)

    command = commands.add_parser("status", help="what runs, what is being built")
    command.add_argument("-o", dest="output", choices=("table", "json"), default="table")
    command.set_defaults(command=_status)

    command = commands.add_parser("logs", help="a component's log")
    command.add_argument("component", nargs="?", help="left out: list the logs there are")
    command.add_argument("-f", dest="follow", action="store_true", help="go on as it grows")
    command.add_argument("-n", dest="lines", type=int, default=100, help="lines from the end (100)")
    command.set_defaults(command=_logs)

    command = commands.add_parser("kubeconfig", help="print the path of the kubeconfig to use")
    command.set_defaults(command=_kubeconfig)

    command = commands.add_parser("kubectl", help="run a fitting kubectl on the cluster")
    command.set_defaults(command=_kubectl)

    command = commands.add_parser(
        "path", help="print the path of a program built here, e.g. grpcurl or garage"
    )
    command.add_argument("program")
    command.set_defaults(command=_path)

    image = commands.add_parser("image", help="build, import and list images").add_subparsers(
        required=True, metavar="ACTION"
    )
    command = image.add_parser("build", help="build images and import them into the cluster")
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="folder name or ref; none: all examples' images"
    )
    command.add_argument(
        "--output", type=Path, metavar="FILE", help="write an archive instead (one NAME)"
    )
    command.set_defaults(command=_image_build)
    command = image.add_parser("import", help="import image archives")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.set_defaults(command=_image_import)
    command = image.add_parser("list", help="images in the cluster")
    command.set_defaults(command=_image_list)
    command = image.add_parser("definitions", help="images that can be built")
    command.set_defaults(command=_image_definitions)
    return parser


def _up(cluster: Cluster, given: argparse.Namespace) -> int:
    if given.k3s and not Path("/etc/rancher/k3s/k3s.yaml").exists():
        scratch = cluster.settings.scratch()
        try:
            k3s_installer.install(scratch, cluster.display.line)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    kubeconfig = up.up(cluster)
    if given.wait_all and cluster.remembered().get("kind") == "own":
        _wait(cluster, [addon.name for addon in addons.all_of(cluster)], 3600)
    print(kubeconfig)
    return 0


def _wait(cluster: Cluster, names: Sequence[str], timeout: float) -> int:
    known = {*status.PROGRAMS, *(addon.name for addon in addons.all_of(cluster))}
    if unknown := sorted(set(names) - known):
        raise DevClusterError(f"no component {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    if cluster.remembered().get("kind", "own") != "own":
        return 0  # a foreign cluster brings its own
    deadline = time.monotonic() + timeout
    waiting = list(names)
    while waiting:
        for name in list(waiting):
            ready, failure = status.state_of(cluster, name)
            if failure:
                raise NotReadyError(f"{name}: {failure}")
            if ready:
                waiting.remove(name)
        if not waiting:
            break
        for name in waiting:
            progress = cluster.builds.progress(name)
            if progress is not None:
                cluster.display.progress(progress)
        if time.monotonic() > deadline:
            raise NotReadyError(f"not ready after {timeout:.0f} s: {', '.join(waiting)}")
        if cluster.processes.find(BACKGROUND) is None and not _all_ready(cluster, waiting):
            raise NotReadyError(
                f"nothing is building {', '.join(waiting)}: run `scripts/devcluster up`"
            )
        time.sleep(0.5)
    return 0


def _all_ready(cluster: Cluster, names: Sequence[str]) -> bool:
    return all(status.state_of(cluster, name)[0] for name in names)


def _down(cluster: Cluster, given: argparse.Namespace) -> int:
    down.down(cluster, purge=given.purge)
    return 0


def _status(cluster: Cluster, given: argparse.Namespace) -> int:
    collected = status.collect(cluster)
    if given.output == "json":
        print(json.dumps(collected, indent=1))
    else:
        print(status.render(collected, time.time()), end="")
    return 0


def _logs(cluster: Cluster, given: argparse.Namespace) -> int:
    return logs.show(cluster, given.component, follow=given.follow, lines=given.lines)


def _kubeconfig(cluster: Cluster, _: argparse.Namespace) -> int:
    print(_path_of_kubeconfig(cluster))
    return 0


def _kubectl(cluster: Cluster, given: argparse.Namespace) -> int:
    kubectl = str(cluster.kubectl())
    environment = {**os.environ, "KUBECONFIG": _path_of_kubeconfig(cluster)}
    os.execve(kubectl, [kubectl, *given.rest], environment)


def _path(cluster: Cluster, given: argparse.Namespace) -> int:
    if given.program == "kubectl":
        print(cluster.kubectl())
        return 0
    folder = cluster.builds.find(cluster.recipes.of_program(given.program))
    if folder is None:
        raise NotReadyError(
            f"{given.program} is not built yet: `scripts/devcluster wait {given.program}`"
        )
    print(folder / given.program)
    return 0


def _image_build(cluster: Cluster, given: argparse.Namespace) -> int:
    names = given.names or [
        one.refs[0]
        for one in Definitions(cluster.settings.repository)
        if "scripts/lib/devcluster" not in str(one.folder)
    ]
    if given.output:
        if len(names) != 1:
            raise DevClusterError("--output takes exactly one image NAME")
        with given.output.open("wb") as file:
            cluster.image_builder().build(names[0]).write(file)
        return 0
    store = _store(cluster)
    for name in names:
        imported = cluster.import_images([name], store)
        cluster.display.line(f"{name}: {'imported' if imported else 'unchanged'}")
    return 0


def _store(cluster: Cluster) -> ImageStore:
    kind = cluster.remembered().get("kind", "none")
    if kind == "none":
        raise DevClusterError(
            "no cluster is up to hold images: run `scripts/devcluster up`, or build with --output"
        )
    store = k3s_store() if kind == "k3s" else cluster.image_store() if kind == "own" else None
    if store is None:
        raise DevClusterError(
            "the images of a cluster given by KUBECONFIG cannot be reached: write an archive with --output and push "
            "it to a registry that cluster pulls from"
        )
    return store


def _image_import(cluster: Cluster, given: argparse.Namespace) -> int:
    for file in given.files:
        print(_store(cluster).add_file(file), end="")
    return 0


def _image_list(cluster: Cluster, _: argparse.Namespace) -> int:
    for image in _store(cluster).list():
        print(f"{image.ref}  {image.size}")
    return 0


def _image_definitions(cluster: Cluster, _: argparse.Namespace) -> int:
    for definition in Definitions(cluster.settings.repository):
        print(f"{definition.name}  {' '.join(definition.refs)}")
    return 0


def _path_of_kubeconfig(cluster: Cluster) -> str:
    path = cluster.remembered().get("kubeconfig")
    if not path:
        raise DevClusterError("no cluster is up: run `scripts/devcluster up`")
    return str(path)
