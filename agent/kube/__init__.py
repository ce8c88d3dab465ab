"""The only place that knows the Kubernetes library.

`KubeClient` is the whole interface: apply, get, list, delete, watch, logs, exec. Errors are the tree
in `agent.kube.errors`.
"""

from agent.kube.apply import Applied, Live
from agent.kube.client import KubeClient
from agent.kube.exec import ExecResult, ExecSession, OutputChannel, TerminalSize
from agent.kube.manifest import Manifest, ObjectRef
from agent.kube.watch import EventType, WatchEvent

__all__ = [
    "Applied",
    "EventType",
    "ExecResult",
    "ExecSession",
    "KubeClient",
    "Live",
    "Manifest",
    "ObjectRef",
    "OutputChannel",
    "TerminalSize",
    "WatchEvent",
]
