"""Rows of the table of keys for `include` and the top-level networks, volumes, configs and secrets."""

from __future__ import annotations

from agent.compose.key import Key, Shape, as_parent, changed, converted, ignored, refused

_S = Shape
_REMOVE = "Remove the line."

NETWORK: tuple[Key, ...] = (
    ignored("name", _S.TEXT, "CMP420", "networks exist within the app only"),
    converted("driver", _S.TEXT, "bridge and overlay: nothing; host, macvlan, ipvlan are refused"),
    changed("driver_opts", _S.ANY, "CMP406", "the cluster's network has no such options"),
    changed("ipam", _S.ANY, "CMP406", "addresses are the cluster's"),
    converted(
        "external", _S.EXTERNAL, "reported: the platform's ingress reaches the service anyway"
    ),
    as_parent("external.name", _S.TEXT),
    converted("internal", _S.FLAG, "no internet for services only on such networks"),
    ignored("enable_ipv4", _S.FLAG, "CMP420", "addresses are the cluster's"),
    ignored("enable_ipv6", _S.FLAG, "CMP420", "addresses are the cluster's"),
    ignored("attachable", _S.FLAG, "CMP420", "networks exist within the app only"),
    ignored("labels", _S.PAIRS, "CMP407", "labels are for the Docker host's tools"),
)

VOLUME: tuple[Key, ...] = (
    converted("name", _S.TEXT, "the claim is named after the app and it, or is it if external"),
    converted("driver", _S.TEXT, "local: the platform's storage; others are refused"),
    converted("driver_opts", _S.ANY, "a bind of a host path and network file systems are refused"),
    converted("external", _S.EXTERNAL, "an existing claim of that name"),
    as_parent("external.name", _S.TEXT),
    converted("labels", _S.PAIRS, "kompose.volume.size: size of the claim; the rest is ignored"),
    converted("x-skerry", _S.MAPPING, "settings of this platform for the volume"),
    converted("x-skerry.size", _S.SIZE, "size of the claim"),
    converted("x-skerry.storage_class", _S.TEXT, "storage class of the claim"),
)

CONFIG: tuple[Key, ...] = (
    converted("name", _S.TEXT, "name of the object if external"),
    converted("file", _S.TEXT, "file of the bundle"),
    converted("content", _S.TEXT, "the content itself"),
    converted("environment", _S.TEXT, "the value of a variable"),
    converted("external", _S.EXTERNAL, "an existing object of that name"),
    as_parent("external.name", _S.TEXT),
    ignored("labels", _S.PAIRS, "CMP407", "labels are for the Docker host's tools"),
    changed("template_driver", _S.TEXT, "CMP414", "the content is not a template here"),
)

SECRET: tuple[Key, ...] = (
    *CONFIG,
    refused("driver", _S.TEXT, "CMP333", "secret drivers are not available", _REMOVE),
    refused("driver_opts", _S.ANY, "CMP333", "secret drivers are not available", _REMOVE),
)

INCLUDE: tuple[Key, ...] = (
    converted("path", _S.TEXTS, "files of the bundle"),
    converted("env_file", _S.TEXTS, "variables for the included files"),
    converted("project_directory", _S.TEXT, "base of relative paths"),
)
