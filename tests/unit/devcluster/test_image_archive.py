"""Layers and archives: the same bytes for the same content, in the form engines load."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from pathlib import Path

import pytest
from devcluster.errors import BuildError
from devcluster.image import archive
from devcluster.image.archive import Layer
from devcluster.image.definition import Definition
from devcluster.image.layers import LayerCache


def tree(folder: Path) -> Path:
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/file").write_text("content")
    (folder / "etc/same").hardlink_to(folder / "etc/file")
    (folder / "etc/run").write_text("#!")
    (folder / "etc/run").chmod(0o755)
    (folder / "bin").symlink_to("usr/bin")
    return folder


def test_a_layer_is_the_same_whenever_and_wherever_it_is_packed(tmp_path: Path) -> None:
    first, second = tree(tmp_path / "one"), tree(tmp_path / "two")
    past = time.time() - 1_000_000
    os.utime(second / "etc/file", (past, past))
    assert archive.pack(first, tmp_path / "1.tar") == archive.pack(second, tmp_path / "2.tar")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_links_and_modes_survive(tmp_path: Path) -> None:
    digest = archive.pack(tree(tmp_path / "tree"), tmp_path / "layer.tar")
    assert digest == hashlib.sha256((tmp_path / "layer.tar").read_bytes()).hexdigest()
    with tarfile.open(tmp_path / "layer.tar") as tar:
        entries = {entry.name: entry for entry in tar}
    assert list(entries) == ["bin", "etc", "etc/file", "etc/run", "etc/same"]
    assert entries["bin"].linkname == "usr/bin"
    assert entries["etc/same"].linkname == "etc/file"
    assert entries["etc/run"].mode == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="making a device file needs root")
def test_what_an_overlay_deleted_becomes_a_whiteout(tmp_path: Path) -> None:
    (tmp_path / "tree/etc").mkdir(parents=True)
    os.mknod(tmp_path / "tree/etc/gone", 0o020000, os.makedev(0, 0))
    archive.pack(tmp_path / "tree", tmp_path / "layer.tar")
    with tarfile.open(tmp_path / "layer.tar") as tar:
        assert tar.getnames() == ["etc", "etc/.wh.gone"]


def test_an_archive_names_its_image_layers_and_configuration(tmp_path: Path) -> None:
    digest = archive.pack(tree(tmp_path / "tree"), tmp_path / "layer.tar")
    content = io.BytesIO()
    layer = Layer("key", tmp_path / "layer.tar", digest)
    archive.write(content, ["a.b/web:1"], [layer], {"Cmd": ["serve"]})
    content.seek(0)
    with tarfile.open(fileobj=content) as tar:
        files = {entry.name: tar.extractfile(entry) for entry in tar}
        read = {name: file.read() for name, file in files.items() if file is not None}
    (manifest,) = json.loads(read["manifest.json"])
    assert manifest["RepoTags"] == ["a.b/web:1"]
    config = json.loads(read[manifest["Config"]])
    assert config["config"] == {"Cmd": ["serve"]}
    assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    assert hashlib.sha256(read[manifest["Layers"][0]]).hexdigest() == digest


def test_an_image_inherits_from_its_base_but_not_another_programs_arguments() -> None:
    inherited = {
        "Env": ["PATH=/bin", "A=base", "B=base"],
        "Cmd": ["python3"],
        "User": "7",
        "ExposedPorts": {"80/tcp": {}},
    }
    own = Definition(
        Path("/x"), ("a.b/c:1",), entrypoint=("/serve",), env={"A": "own"}, expose=("81/tcp",)
    )
    assert archive.configuration(own, inherited) == {
        "Env": ["PATH=/bin", "A=own", "B=base"],
        "Entrypoint": ["/serve"],
        "User": "7",
        "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
    }


def test_a_layer_is_made_once_and_not_kept_when_it_fails(tmp_path: Path) -> None:
    made: list[Path] = []

    def scratch() -> Path:
        folder = tmp_path / f"scratch-{len(made)}"
        folder.mkdir()
        return folder

    def make(root: Path) -> None:
        made.append(root)
        (root / "file").write_text("content")

    def fail(root: Path) -> None:
        (root / "file").write_text("half")
        raise BuildError("no sugar")

    cache = LayerCache(tmp_path / "layers", scratch)
    with pytest.raises(BuildError):
        cache.get("key", (), fail)
    first = cache.get("key", (), make)
    assert cache.get("key", (), make) == first
    assert len(made) == 1
    assert (cache.tree(first) / "file").read_text() == "content"
