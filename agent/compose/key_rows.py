"""The rows of the table of keys: every key of the compose specification and what becomes of it.

What depends on a key's value is decided by the module that converts it; a row says what a person
should know. Specification: compose-spec schema as of 2026-07 (compose-go e70e961c). The rows of
each part of a file are in `service_rows`, `container_rows`, `deploy_rows` and `resource_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.compose.container_rows import CONTAINER
from agent.compose.deploy_rows import DEPLOY, EXTENSION
from agent.compose.key import Key, Shape, as_parent, converted, ignored, refused
from agent.compose.resource_rows import CONFIG, INCLUDE, NETWORK, SECRET, VOLUME
from agent.compose.service_rows import SERVICE

_S = Shape
_REMOVE = "Remove the line."

_TOP: tuple[Key, ...] = (
    ignored("version", _S.TEXT, "CMP001", "version is obsolete"),
    converted("name", _S.TEXT, "COMPOSE_PROJECT_NAME for interpolation"),
    converted("services", _S.NAMED, "one workload and one Service each"),
    converted(
        "include", _S.INCLUDES, "the included files are merged in; they must be in the bundle"
    ),
    converted("networks", _S.NAMED, "see networks"),
    converted("volumes", _S.NAMED, "one PersistentVolumeClaim each, if a service mounts it"),
    converted("configs", _S.NAMED, "one ConfigMap each"),
    converted("secrets", _S.NAMED, "one Secret each"),
    refused(
        "models", _S.NAMED, "CMP160", "models need a model runner this platform lacks", _REMOVE
    ),
    as_parent("models.*", _S.ANY),
    converted("x-skerry", _S.MAPPING, "settings of this platform for the whole app"),
)

_SECTIONS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    ("include.[]", INCLUDE),
    ("services.*", (*SERVICE, *CONTAINER)),
    ("services.*.deploy", DEPLOY),
    ("services.*.x-skerry", EXTENSION),
    ("networks.*", NETWORK),
    ("volumes.*", VOLUME),
    ("configs.*", CONFIG),
    ("secrets.*", SECRET),
)


def rows() -> Iterator[Key]:
    """All rows, in the order the documentation lists them."""
    yield from _TOP
    for prefix, section in _SECTIONS:
        for row in section:
            path = f"{prefix}.{row.path}"
            yield Key(path, row.treatment, row.shape, row.code, row.text, row.hint, row.harmless)
