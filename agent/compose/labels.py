"""Labels and annotations of a service: `labels`, `label_file`, `deploy.labels`, `annotations`.

Nothing in the cluster may act on them by accident, so they become annotations below prefixes of our
own; a few annotations that only monitoring reads keep their names. Called by the reader.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.compose import dotenv
from agent.compose.context import Context
from agent.compose.fields import Fields
from agent.compose.metadata import PREFIX
from agent.compose.nodes import Budget
from agent.compose.origin import Origin
from agent.compose.paths import ProjectFiles
from agent.compose.yaml_nodes import shorten

_NAME = re.compile(r"([a-z0-9.-]{1,253}/)?([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)")
_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_KEEP_THEIR_NAME = ("prometheus.io/", "fluentbit.io/")
_RESERVED = re.compile(
    r"(com\.docker\.compose\.|(.+\.)?skerry\.dev/|([^/]+\.)?(kubernetes|k8s)\.io/|io\.kubernetes\.|"
    r"container\.apparmor|io\.katacontainers|run\.oci\.|io\.containerd)"
)
_MOST_BYTES = 64 << 10
"""Of all annotations of one service; Kubernetes takes four times as much with its own."""


@dataclass(frozen=True, slots=True)
class Label:
    value: str
    origin: Origin
    path: str


def read_labels(fields: Fields, context: Context, files: ProjectFiles) -> dict[str, Label]:
    """The labels of a service and of its deploy; those of label files have the last word less."""
    found: dict[str, Label] = {}
    for index, node in enumerate(fields.texts("label_file")):
        path = f"{fields.at('label_file')}[{index}]"
        name = posixpath.normpath(node.text)
        content = files.get(name)
        if content is None or len(content) > context.limits.file_bytes:
            code, what = ("CMP210", "is not in the bundle") if content is None else ("CMP012", "is too large")  # fmt: skip
            fields.report.error(
                code, node.origin, path, f'"{shorten(node.text)}" {what}', "Add the file."
            )
            continue
        budget = Budget(context.limits.nodes, context.limits.text_bytes)
        values = dotenv.parse(name, content, lambda _: None, fields.report, budget)
        found |= {
            key: Label(entry.value or "", entry.origin, f"{path}.{shorten(key)}")
            for key, entry in values.items()
        }
    for part in (fields, fields.child("deploy")):
        if part is not None:
            found |= {
                key: Label(node.text, origin, f"{part.at('labels')}.{shorten(key)}")
                for key, node, origin in part.pairs("labels")
            }
    for key, label in found.items():
        if _is_reserved(key) and not key.startswith("kompose."):
            fields.report.error(
                "CMP321",
                label.origin,
                label.path,
                "labels with this prefix are reserved",
                "Remove the line.",
            )
    return found


def label_annotations(labels: Mapping[str, str], fields: Fields) -> dict[str, str]:
    """The labels as annotations of the workload: `a.b/c` is `label.skerry.dev/a.b_c`."""
    return _annotations(labels, "label", fields, "labels")


def pod_annotations(fields: Fields) -> dict[str, str]:
    """`annotations` as annotations of the pod; what others could act on is refused."""
    wanted: dict[str, str] = {}
    kept: dict[str, str] = {}
    for name, node, origin in fields.pairs("annotations"):
        if _is_reserved(name):
            fields.report.error(
                "CMP321",
                origin,
                f"{fields.at('annotations')}.{shorten(name)}",
                "annotations with this prefix are reserved",
                "Remove the line.",
            )
        elif name.startswith(_KEEP_THEIR_NAME) and _NAME.fullmatch(name):
            kept[name] = node.text
        else:
            wanted[name] = node.text
    return kept | _annotations(wanted, "annotation", fields, "annotations")


def _annotations(
    values: Mapping[str, str], prefix: str, fields: Fields, key: str
) -> dict[str, str]:
    found: dict[str, str] = {}
    room = _MOST_BYTES
    for name, value in values.items():
        part = name.replace("/", "_")
        room -= len(name) + len(value.encode())
        if _PART.fullmatch(part) is None or room < 0:
            why = "it is no name for an annotation" if room >= 0 else "there is too much text"
            fields.warning("CMP407", key, f'"{shorten(name)}" is not kept in the cluster, as {why}')
        else:
            found[f"{prefix}.{PREFIX}/{part}"] = value
    return found


def _is_reserved(name: str) -> bool:
    return _RESERVED.match(name) is not None
