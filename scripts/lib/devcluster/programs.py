"""Which programs make the node, with every flag, and the files they read.

`Node.prepare` writes the files, `Node.datastore_and_runtime`, `Node.api_server` and `Node.others`
return what `up` starts, in that order. Nothing is started here.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from devcluster import kubeconfig
from devcluster.pki import Leaf, Pki
from devcluster.process import Program
from devcluster.settings import Settings
from devcluster.versions import KUBERNETES, PAUSE_IMAGE

CNI_NETWORK = "skerry-dev"


@dataclass(frozen=True, slots=True)
class Node:
    """One node that is also the control plane. `bin` holds the Kubernetes programs, `tools` Debian's."""

    settings: Settings
    address: str
    api_port: int
    bin: Path
    tools: Path

    def prepare(self, now: dt.datetime) -> list[str]:
        """Write certificates, kubeconfigs and configuration files; return the certificates made."""
        made = Pki(self._pki, now).ensure(("ca", "front-proxy-ca", "etcd-ca"), self._leaves())
        server = f"https://127.0.0.1:{self.api_port}"
        for leaf in (
            "controller-manager",
            "scheduler",
            "kubelet",
            "proxy",
            "helm-controller",
            "policy",
        ):
            kubeconfig.write(self._kubeconfig(leaf), server=server, pki=self._pki, leaf=leaf)
        kubeconfig.write(self.settings.kubeconfig, server=server, pki=self._pki, leaf="admin")
        for path, text in self._files().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            # kube-proxy ends itself when its file is written, be it with what it held before.
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        for folder in (self._state / "etcd", self._state / "kubelet", self.settings.run):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return made

    def datastore_and_runtime(self) -> list[Program]:
        """etcd and containerd: they need nothing that is built, so they may start while Go compiles."""
        return [self._etcd(), self._containerd()]

    def api_server(self) -> Program:
        flags = {
            "advertise-address": self.address,
            "allow-privileged": "true",
            "authorization-mode": "Node,RBAC",
            "bind-address": "0.0.0.0",
            "client-ca-file": self._pki / "ca.crt",
            "enable-admission-plugins": "NodeRestriction",
            "enable-aggregator-routing": "true",
            "etcd-cafile": self._pki / "etcd-ca.crt",
            "etcd-certfile": self._pki / "etcd-client.crt",
            "etcd-keyfile": self._pki / "etcd-client.key",
            "etcd-servers": f"https://127.0.0.1:{self.settings.etcd_port}",
            "kubelet-certificate-authority": self._pki / "ca.crt",
            "kubelet-client-certificate": self._pki / "apiserver-kubelet-client.crt",
            "kubelet-client-key": self._pki / "apiserver-kubelet-client.key",
            "kubelet-preferred-address-types": "InternalIP",
            "proxy-client-cert-file": self._pki / "front-proxy-client.crt",
            "proxy-client-key-file": self._pki / "front-proxy-client.key",
            "requestheader-allowed-names": "front-proxy-client",
            "requestheader-client-ca-file": self._pki / "front-proxy-ca.crt",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-username-headers": "X-Remote-User",
            "secure-port": self.api_port,
            "service-account-issuer": f"https://kubernetes.default.svc.{self.settings.cluster_domain}",
            "service-account-key-file": self._pki / "service-account.pub",
            "service-account-signing-key-file": self._pki / "service-account.key",
            "service-cluster-ip-range": self.settings.service_cidr,
            "tls-cert-file": self._pki / "apiserver.crt",
            "tls-private-key-file": self._pki / "apiserver.key",
        }
        return self._kubernetes("kube-apiserver", flags, reads=("apiserver", "front-proxy-client"))

    def others(self) -> list[Program]:
        """The controllers, the scheduler, the kubelet and, last, kube-proxy, which needs the node's object."""
        manager = self._kubeconfig("controller-manager")
        scheduler = self._kubeconfig("scheduler")
        return [
            self._kubernetes(
                "kube-controller-manager",
                {
                    "allocate-node-cidrs": "true",
                    "authentication-kubeconfig": manager,
                    "authorization-kubeconfig": manager,
                    "bind-address": "127.0.0.1",
                    "cluster-cidr": self.settings.pod_cidr,
                    "cluster-signing-cert-file": self._pki / "ca.crt",
                    "cluster-signing-key-file": self._pki / "ca.key",
                    "kubeconfig": manager,
                    "leader-elect": "false",
                    "root-ca-file": self._pki / "ca.crt",
                    "service-account-private-key-file": self._pki / "service-account.key",
                    "use-service-account-credentials": "true",
                },
                reads=("controller-manager",),
            ),
            self._kubernetes(
                "kube-scheduler",
                {
                    "authentication-kubeconfig": scheduler,
                    "authorization-kubeconfig": scheduler,
                    "bind-address": "127.0.0.1",
                    "kubeconfig": scheduler,
                    "leader-elect": "false",
                },
                reads=("scheduler",),
            ),
            self._kubernetes(
                "kubelet",
                {
                    "config": self._state / "kubelet.yaml",
                    "hostname-override": self.settings.node_name,
                    "kubeconfig": self._kubeconfig("kubelet"),
                    "node-ip": self.address,
                    "root-dir": self._state / "kubelet",
                },
                reads=("kubelet",),
                config=self._kubelet_config(),
            ),
            self._kubernetes(
                "kube-proxy",
                {"config": self._state / "kube-proxy.yaml"},
                config=self._proxy_config(),
            ),
        ]

    @property
    def _state(self) -> Path:
        return self.settings.state

    @property
    def _pki(self) -> Path:
        return self.settings.state / "pki"

    def _kubeconfig(self, leaf: str) -> Path:
        return self.settings.state / "kubeconfigs" / leaf

    def _kubernetes(
        self,
        name: str,
        flags: Mapping[str, object],
        *,
        reads: tuple[str, ...] = (),
        config: str = "",
    ) -> Program:
        arguments = tuple(f"--{flag}={value}" for flag, value in sorted(flags.items()))
        # A renewed certificate is read at start only, so it is part of what must match.
        read = "".join((self._pki / f"{leaf}.crt").read_text() for leaf in reads)
        return Program(
            name=name,
            argv=(str(self.bin / name), *arguments),
            version=KUBERNETES,
            env={
                "PATH": f"{self.tools}/usr/sbin:{self.tools}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            },
            config=config + read,
        )

    def _etcd(self) -> Program:
        client = f"https://127.0.0.1:{self.settings.etcd_port}"
        peer = f"https://127.0.0.1:{self.settings.etcd_peer_port}"
        flags = {
            "advertise-client-urls": client,
            "auto-compaction-retention": "1h",
            "cert-file": self._pki / "etcd.crt",
            "client-cert-auth": "true",
            "data-dir": self._state / "etcd",
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"skerry-dev={peer}",
            "key-file": self._pki / "etcd.key",
            "listen-client-urls": client,
            "listen-peer-urls": peer,
            "log-level": "warn",
            "logger": "zap",
            "name": "skerry-dev",
            "peer-cert-file": self._pki / "etcd.crt",
            "peer-client-cert-auth": "true",
            "peer-key-file": self._pki / "etcd.key",
            "peer-trusted-ca-file": self._pki / "etcd-ca.crt",
            "quota-backend-bytes": "4294967296",
            "trusted-ca-file": self._pki / "etcd-ca.crt",
        }
        arguments = tuple(f"--{flag}={value}" for flag, value in flags.items())
        return Program("etcd", (str(self.tools / "usr/bin/etcd"), *arguments), version="3.4")

    def _containerd(self) -> Program:
        config = self.settings.run / "containerd.toml"
        path = f"{self.tools}/usr/bin:{self.tools}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        return Program(
            "containerd",
            (str(self.tools / "usr/bin/containerd"), "--config", str(config)),
            version="1.6",
            env={"PATH": path},
            config=self._containerd_config(),
        )

    def _leaves(self) -> list[Leaf]:
        local = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
        domain = f"kubernetes.default.svc.{self.settings.cluster_domain}"
        node = self.settings.node_name
        addresses = tuple(dict.fromkeys(("127.0.0.1", self.address, self.settings.api_service_ip)))
        return [
            Leaf("admin", "ca", "skerry-dev-admin", ("system:masters",)),
            Leaf("apiserver", "ca", "kube-apiserver", (), (*local, domain, node), addresses),
            Leaf(
                "apiserver-kubelet-client",
                "ca",
                "kube-apiserver-kubelet-client",
                ("system:masters",),
            ),
            Leaf("controller-manager", "ca", "system:kube-controller-manager"),
            Leaf("etcd", "etcd-ca", "etcd", (), ("localhost",), ("127.0.0.1",)),
            Leaf("etcd-client", "etcd-ca", "kube-apiserver"),
            Leaf("front-proxy-client", "front-proxy-ca", "front-proxy-client"),
            Leaf("helm-controller", "ca", "helm-controller", ("system:masters",)),
            Leaf(
                "kubelet", "ca", f"system:node:{node}", ("system:nodes",), (node,), (self.address,)
            ),
            Leaf("policy", "ca", "network-policy-enforcer"),
            Leaf("proxy", "ca", "system:kube-proxy"),
            Leaf("scheduler", "ca", "system:kube-scheduler"),
        ]

    def _files(self) -> dict[Path, str]:
        return {
            self.settings.run / "containerd.toml": self._containerd_config(),
            self._state / "cni" / "10-skerry-dev.conflist": self._network_config(),
            self._state / "kubelet.yaml": self._kubelet_config(),
            self._state / "kube-proxy.yaml": self._proxy_config(),
        }

    def _containerd_config(self) -> str:
        # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc dies trying to lower a score.
        # Own runtime root and netns folder: nothing of ours lies among a system containerd's things.
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        return f"""version = 2
root = "{self._state}/containerd"
state = "{self.settings.run}/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", \
"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", \
"io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{self.settings.containerd_socket}"
[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [{cri}.cni]
    bin_dir = "{self.tools}/usr/lib/cni"
    conf_dir = "{self._state}/cni"
  [{cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [{cri}.containerd.runtimes.runc.options]
      BinaryName = "{self.tools}/usr/sbin/runc"
      Root = "{self.settings.run}/runc"
"""

    def _network_config(self) -> str:
        # `ptp` and not `bridge`: traffic between two pods of one bridge never passes the IP hooks unless
        # br_netfilter is there, and then no policy could hold it. Routed pods are always seen.
        return json.dumps(
            {
                "cniVersion": "0.4.0",
                "name": CNI_NETWORK,
                "plugins": [
                    {
                        "type": "ptp",
                        "ipMasq": False,
                        "mtu": 1500,
                        "ipam": {
                            "type": "host-local",
                            "dataDir": f"{self.settings.run}/ipam",
                            "ranges": [[{"subnet": self.settings.node_pod_cidr}]],
                            "routes": [{"dst": "0.0.0.0/0"}],
                        },
                    },
                    {"type": "portmap", "capabilities": {"portMappings": True}},
                ],
            },
            indent=1,
        )

    def _kubelet_config(self) -> str:
        return yaml.safe_dump(
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "authentication": {
                    "anonymous": {"enabled": False},
                    "webhook": {"enabled": True},
                    "x509": {"clientCAFile": f"{self._pki}/ca.crt"},
                },
                "authorization": {"mode": "Webhook"},
                "cgroupDriver": "cgroupfs",
                "cgroupRoot": f"/{self.settings.cgroup}",
                "clusterDNS": [self.settings.dns_service_ip],
                "clusterDomain": self.settings.cluster_domain,
                "containerRuntimeEndpoint": f"unix://{self.settings.containerd_socket}",
                "evictionHard": {"imagefs.available": "1%", "nodefs.available": "1%"},
                "failCgroupV1": False,
                "failSwapOn": False,
                "healthzBindAddress": "127.0.0.1",
                # Images are local and cannot be pulled again: none is ever collected.
                "imageGCHighThresholdPercent": 100,
                # All service rules live in kube-proxy's own nftables; the kubelet's chains are not needed.
                "makeIPTablesUtilChains": False,
                "podLogsDir": f"{self._state}/pod-logs",
                "resolvConf": str(_resolv_conf()),
                "serializeImagePulls": False,
                "serverTLSBootstrap": False,
                "tlsCertFile": f"{self._pki}/kubelet.crt",
                "tlsPrivateKeyFile": f"{self._pki}/kubelet.key",
                "volumePluginDir": f"{self._state}/kubelet/volume-plugins",
            },
            sort_keys=False,
        )

    def _proxy_config(self) -> str:
        return yaml.safe_dump(
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "clientConnection": {"kubeconfig": str(self._kubeconfig("proxy"))},
                "clusterCIDR": self.settings.pod_cidr,
                # 0 leaves the host's connection table as it is.
                "conntrack": {"maxPerCore": 0, "min": 0},
                "healthzBindAddress": "127.0.0.1:10256",
                "hostnameOverride": self.settings.node_name,
                "metricsBindAddress": "127.0.0.1:10249",
                "mode": "nftables",
                "nftables": {"minSyncPeriod": "100ms"},
            },
            sort_keys=False,
        )


def _resolv_conf() -> Path:
    # systemd-resolved's stub listens on loopback, which inside a pod is the pod itself.
    real = Path("/run/systemd/resolve/resolv.conf")
    return real if real.exists() else Path("/etc/resolv.conf")
