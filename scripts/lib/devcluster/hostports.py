"""Takes back what the CNI plugins keep outside of a pod: host ports, and the record of each pod's network.

The portmap plugin puts its rules into iptables chains that all networks of a host share. It removes the rules of a
pod when asked to; the chains and the jumps to them it leaves for ever. They go here once nobody uses
them. `teardown` calls `forget`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from devcluster.programs import CNI_NETWORK

RESULTS = Path("/var/lib/cni/results")
_CHAINS = "CNI-HOSTPORT-"


def forget(plugins: Path | None) -> None:
    """Forget the networks of all our pods. `plugins` is the folder of the CNI plugins, if there is one."""
    for file in RESULTS.glob(f"{CNI_NETWORK}-*"):
        with contextlib.suppress(OSError, KeyError, json.JSONDecodeError):
            if plugins is not None:
                _unmap(json.loads(file.read_text()), plugins)
        # containerd runs the loopback plugin under a network name of its own.
        sandbox = file.name.removeprefix(f"{CNI_NETWORK}-").rpartition("-")[0]
        (RESULTS / f"cni-loopback-{sandbox}-lo").unlink(missing_ok=True)
        file.unlink(missing_ok=True)
    for folder in (RESULTS, RESULTS.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()
    if _has_nat_table("ip") and _rules("iptables", f"-N {_CHAINS}"):
        _remove_unused_chains()


def _unmap(record: dict[str, Any], plugins: Path) -> None:
    """Run the plugin's own DEL for one pod."""
    mappings = record.get("capabilityArgs", {}).get("portMappings")
    if not mappings:
        return
    config = {
        "cniVersion": "0.4.0",
        "name": CNI_NETWORK,
        "type": "portmap",
        "runtimeConfig": {"portMappings": mappings},
    }
    environment = {
        **os.environ,
        "CNI_COMMAND": "DEL",
        "CNI_CONTAINERID": str(record["containerId"]),
        "CNI_IFNAME": str(record["ifName"]),
        "CNI_PATH": str(plugins),
    }
    argv = [plugins / "portmap"]
    subprocess.run(
        argv, input=json.dumps(config), text=True, env=environment, capture_output=True, check=False
    )


def _remove_unused_chains() -> None:
    # A mapping in use is a jump from the DNAT chain to a chain of the pod's own.
    if _rules("iptables", f"-A {_CHAINS}DNAT "):
        return
    for line in _rules("iptables", "-A "):
        _, chain, *rest = shlex.split(line)
        if not chain.startswith(_CHAINS) and rest[-1].startswith(_CHAINS):
            _iptables("iptables", "-D", chain, *rest)
    chains = [line.split()[1] for line in _rules("iptables", f"-N {_CHAINS}")]
    for action in ("-F", "-X"):
        for chain in chains:
            _iptables("iptables", action, chain)
    for program, family in (("iptables", "ip"), ("ip6tables", "ip6")):
        # iptables over nftables made these tables for the plugin. Empty, they mean the same as none.
        if _has_nat_table(family) and all(
            line.startswith("-P ") and line.endswith(" ACCEPT") for line in _rules(program)
        ):
            argv = ["nft", "delete", "table", family, "nat"]
            subprocess.run(argv, capture_output=True, check=False)


def _has_nat_table(family: str) -> bool:
    # Asked first, because merely listing a table by iptables would make it.
    tables = subprocess.run(["nft", "list", "tables"], text=True, capture_output=True, check=False)
    legacy = Path(f"/proc/net/{family}_tables_names")
    return f"table {family} nat\n" in tables.stdout or (
        legacy.exists() and "nat" in legacy.read_text().split()
    )


def _rules(program: str, start: str = "-") -> list[str]:
    return [line for line in _iptables(program, "-S").splitlines() if line.startswith(start)]


def _iptables(program: str, *arguments: str) -> str:
    argv = [program, "--wait", "--table", "nat", *arguments]
    return subprocess.run(argv, text=True, capture_output=True, check=False).stdout
