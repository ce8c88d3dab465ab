"""Reads the add-ons' data files and the versions table into `AddOn`s. Called by `agent.app` at start.

One folder an add-on: `addon.toml` and, for plain manifests, `manifests.yaml` beside it. Settings are
applied here and nowhere else, so that what is hashed and installed is exactly what comes out:
version overrides, switches, the chart mirror, the image mirror, the storage class.
"""

from __future__ import annotations

import copy
import string
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from agent.bootstrap.addon import (
    AddOn,
    GeneratedSecret,
    HelmSource,
    ManifestSource,
    Sign,
)
from agent.bootstrap.errors import CatalogError
from agent.kube import Manifest, ObjectRef

HERE = Path(__file__).parent
ADD_ONS = HERE / "addons"
VERSIONS = HERE / "versions.toml"
DOCKER_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class CatalogOptions:
    """What the agent's settings say about add-ons.

    `chart_mirror` is an https repository or an `oci://` prefix that holds all charts under their own
    names; `image_mirror` a registry that holds all images under their own paths.
    """

    enabled: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    versions: Mapping[str, str] = field(default_factory=dict)
    chart_mirror: str = ""
    image_mirror: str = ""
    storage_class: str = ""
    job_image: str = ""


def load(
    options: CatalogOptions, folders: Sequence[Path] = (ADD_ONS,), versions: Path = VERSIONS
) -> tuple[AddOn, ...]:
    """All add-ons of the folders, in the order in which they may be installed.

    Raises CatalogError when a file is missing or wrong, a name is unknown or dependencies turn in a circle.
    """
    table = _read_toml(versions)
    found: dict[str, AddOn] = {}
    for folder in folders:
        for file in sorted(folder.glob("*/addon.toml")):
            add_on = _Reader(file, table, options).add_on()
            if add_on.name in found:
                raise CatalogError(f"{file}: there are two add-ons named {add_on.name}")
            found[add_on.name] = add_on
    for setting, names in (
        ("enabled", options.enabled),
        ("disabled", options.disabled),
        ("versions", options.versions),
    ):
        for name in sorted(names):
            if name not in found:
                known = ", ".join(sorted(found))
                raise CatalogError(
                    f"add-on settings, {setting}: there is no add-on {name!r}; known: {known}"
                )
    return tuple(_in_order(found))


def mirrored(image: str, mirror: str) -> str:
    """The image's name behind a mirror: the registry's host is replaced, the path stays."""
    if not mirror:
        return image
    host, slash, path = image.partition("/")
    has_host = bool(slash) and ("." in host or ":" in host or host == "localhost")
    if not has_host:
        path = image if slash else f"library/{image}"
    return f"{mirror.rstrip('/')}/{path}"


class _Reader:
    """One `addon.toml` being read; knows the file's name for its errors."""

    def __init__(self, file: Path, versions: Mapping[str, Any], options: CatalogOptions) -> None:
        self._file = file
        self._options = options
        self._data = _read_toml(file)
        self._versions = versions

    def add_on(self) -> AddOn:
        data = self._data
        name = self._text(data, "name")
        if name != self._file.parent.name:
            raise CatalogError(
                f"{self._file}: name is {name!r}, but its folder is {self._file.parent.name!r}"
            )
        # An add-on of the operator's own is in no table of ours: it names its version itself.
        line = {**self._versions.get(name, {}), **{k: v for k, v in data.items() if k == "version"}}
        version = self._options.versions.get(name) or self._text(line, "version")
        namespaces: tuple[Manifest, ...] = ()
        source: HelmSource | ManifestSource
        match self._text(data, "kind"):
            case "helm":
                source = self._helm(data.get("helm", {}), line, version)
            case "manifests":
                manifests = tuple(self._manifests(version))
                namespaces = tuple(m for m in manifests if m["kind"] == "Namespace")
                source = ManifestSource(tuple(m for m in manifests if m["kind"] != "Namespace"))
            case other:
                raise CatalogError(f"{self._file}: kind is {other!r}; it must be helm or manifests")
        opt_in = not data.get("enabled", True)
        enabled = name in self._options.enabled if opt_in else name not in self._options.disabled
        return AddOn(
            name=name,
            version=version,
            source=source,
            enabled=enabled,
            depends_on=tuple(data.get("depends_on", ())),
            namespaces=namespaces,
            secrets=tuple(self._each("secrets", GeneratedSecret)),
            ready=tuple(self._each("ready", ObjectRef)),
            signs=tuple(self._each("signs", Sign)),
            timeout_seconds=int(data.get("timeout_seconds", 900)),
        )

    def _helm(self, data: Mapping[str, Any], line: Mapping[str, Any], version: str) -> HelmSource:
        options = self._options
        chart, repository = self._text(data, "chart"), str(data.get("repository", ""))
        if options.chart_mirror.startswith("oci://"):
            chart, repository = f"{options.chart_mirror.rstrip('/')}/{chart}", ""
        elif options.chart_mirror:
            repository = options.chart_mirror
        values = str(data.get("values", ""))
        if options.image_mirror and "image_values" in data:
            merged = yaml.safe_load(values) or {}
            for path, image in data["image_values"].items():
                _put(merged, path.split("."), mirrored(image, options.image_mirror))
            values = yaml.safe_dump(merged, sort_keys=False)
        return HelmSource(
            release=self._text(data, "release"),
            chart=chart,
            # A chart has versions of its own; an override names the program's and the chart's at once.
            version=options.versions.get(self._data["name"])
            or str(data.get("version") or line.get("chart") or version),
            repository=repository,
            target_namespace=self._text(data, "target_namespace"),
            values=values,
            timeout_seconds=int(data.get("timeout_seconds", 300)),
            backoff_limit=int(data.get("backoff_limit", 2)),
            failure_policy=str(data.get("failure_policy", "abort")),
            job_image=options.job_image,
        )

    def _manifests(self, version: str) -> Iterator[Manifest]:
        file = self._file.with_name("manifests.yaml")
        try:
            text = file.read_text(encoding="utf-8")
            filled = string.Template(text).substitute(
                self._data.get("storage", {}), version=version
            )
            documents = [document for document in yaml.safe_load_all(filled) if document]
        except (OSError, KeyError, ValueError, yaml.YAMLError) as error:
            raise CatalogError(f"{file}: {error}") from error
        if not documents:
            raise CatalogError(f"{file}: holds no manifest")
        for document in documents:
            yield self._adjusted(document)

    def _adjusted(self, manifest: Manifest) -> Manifest:
        result = copy.deepcopy(dict(manifest))
        for node in _dicts(result):
            if isinstance(node.get("image"), str) and "name" in node:
                node["image"] = mirrored(node["image"], self._options.image_mirror)
            if self._options.storage_class and "accessModes" in node:
                node["storageClassName"] = self._options.storage_class
        return result

    def _each(self, key: str, kind: type[Any]) -> Iterator[Any]:
        for number, entry in enumerate(self._data.get(key, ()), 1):
            try:
                yield kind(**entry)
            except TypeError as error:
                raise CatalogError(f"{self._file}: [[{key}]] number {number}: {error}") from error

    def _text(self, data: Mapping[str, Any], key: str) -> str:
        value = data.get(key)
        if not isinstance(value, str) or not value:
            raise CatalogError(f"{self._file}: {key} is missing, or not a text")
        return value


def _in_order(found: Mapping[str, AddOn]) -> Iterator[AddOn]:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> Iterator[AddOn]:
        if name in done:
            return
        if name in path:
            raise CatalogError(
                f"add-ons depend on each other in a circle: {' → '.join((*path, name))}"
            )
        if name not in found:
            raise CatalogError(f"add-on {path[-1]} depends on {name!r}, which does not exist")
        for other in found[name].depends_on:
            yield from visit(other, (*path, name))
        done.add(name)
        yield found[name]

    for name in sorted(found):
        yield from visit(name, ())


def _dicts(node: Any) -> Iterable[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _dicts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _dicts(value)


def _put(values: dict[str, Any], path: Sequence[str], value: str) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = value


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{file}: {error}") from error
