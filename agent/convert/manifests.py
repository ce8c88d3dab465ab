"""The manifests of one `convert`: as text, as one file, as a folder. Nothing is left half written."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from errno import EISDIR
from pathlib import Path

import yaml

from agent.compose import Manifest, Plan

_OURS = re.compile(r"\d{3,}-[a-z]+-[a-z0-9.-]+\.(yaml|json)")
"""Names that `write_folder` gives."""


class OutputFormat(StrEnum):
    YAML = "yaml"
    JSON = "json"


def render_manifests(result: Plan, form: OutputFormat) -> str:
    """A stream of YAML documents, or one JSON `List`; both are what `kubectl apply -f -` takes."""
    if form is OutputFormat.JSON:
        items = {"apiVersion": "v1", "kind": "List", "items": list(result.manifests)}
        return json.dumps(items, indent=2, ensure_ascii=False) + "\n"
    return _yaml(result.manifests)


def write_file(text: str, path: Path) -> None:
    """The text as a file, whole or not at all. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(EISDIR, "it is a folder; use --output-dir")
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=path.parent) as stage:
        staged = Path(stage) / path.name
        staged.write_text(text, encoding="utf-8")
        staged.replace(path)


def write_folder(result: Plan, form: OutputFormat, folder: Path) -> int:
    """One file for each object, named so that `kubectl apply -f FOLDER` takes them in order.

    Files of an earlier conversion that this one does not replace are deleted: they would be applied,
    too. Other files stay. All is written beside before any of it takes its place. Gives the number
    of files; raises OSError.
    """
    made = next((part for part in (*reversed(folder.parents), folder) if not part.exists()), None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".convert-", dir=folder) as stage:
            names = [
                _write_object(Path(stage), number, manifest, form)
                for number, manifest in enumerate(result.manifests, 1)
            ]
            _check_places(folder, names)
            for name in names:
                (Path(stage) / name).replace(folder / name)
    except OSError:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        raise
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in names:
            path.unlink()
    return len(names)


def _write_object(folder: Path, number: int, manifest: Manifest, form: OutputFormat) -> str:
    name = f"{number:03}-{manifest['kind'].lower()}-{manifest['metadata']['name']}.{form}"
    text = _yaml([manifest])
    if form is OutputFormat.JSON:
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / name).write_text(text, encoding="utf-8")
    return name


def _check_places(folder: Path, names: Sequence[str]) -> None:
    """What would stop the last step, found before its first one."""
    for name in names:
        if (folder / name).is_dir():
            raise IsADirectoryError(EISDIR, f"{name} is a folder there")


def _yaml(manifests: Sequence[Manifest]) -> str:
    return yaml.dump_all(
        manifests,
        Dumper=_PlainDumper,
        sort_keys=False,
        allow_unicode=True,
        explicit_start=True,
        default_flow_style=False,
        width=1_000_000,
    )


class _PlainDumper(yaml.CSafeDumper):
    """Writes shared values out in full (anchors would puzzle readers) and scripts as blocks."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    """Scripts and files as readable blocks."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_PlainDumper.add_representer(str, _represent_text)
