"""Which empty volumes get the image's files, by what containers, and what their script does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.compose import Manifest, Plan
from tests.unit.compose.helpers import accepted, codes, container, convert, pod


def copies(result: Plan, name: str = "web") -> list[Manifest]:
    found: list[Manifest] = pod(accepted(result), name).get("initContainers", [])
    return [c for c in found if c["name"].startswith("skerry-copy")]


def web(image: str, volumes: str, more: str = "") -> Plan:
    return convert(
        f"services: {{web: {{image: '{image}', volumes: {volumes}{more}}}}}\nvolumes: {{v: }}"
    )


@pytest.mark.parametrize(
    ("image", "volumes", "more"),
    [
        ("me/app", "[/data]", ""),
        ("me/app", "['v:/data']", ""),
        ("me/app", "['v:/data:ro']", ""),
        ("me/app", "['./src:/app', /app/node_modules]", ""),
        ("postgres:17", "['v:/etc/postgresql']", ""),
        # The entrypoint cannot set the owner when it is not root.
        ("postgres:17", "['v:/var/lib/postgresql/data']", ", user: '999:999'"),
        ("me/postgres", "['v:/var/lib/postgresql/data']", ""),
    ],
)
def test_copied(image: str, volumes: str, more: str) -> None:
    assert len(copies(web(image, volumes, more))) == 1


@pytest.mark.parametrize(
    ("image", "volumes"),
    [
        ("a", "[{type: volume, target: /etc, volume: {nocopy: true}}]"),
        ("a", "['v:/etc:nocopy']"),
        ("a", "[{type: volume, source: v, target: /etc, volume: {subpath: a}}]"),
        ("a", "['./x:/etc']"),
        ("docker.io/library/postgres:17", "['v:/var/lib/postgresql/data']"),
    ],
)
def test_not_copied(image: str, volumes: str) -> None:
    result = web(image, volumes)
    assert copies(result) == []
    assert "skerry-tools" not in str(result.manifests)


def test_a_read_only_mount_shows_what_another_service_writes() -> None:
    result = convert(
        "services: {web: {image: a, volumes: ['v:/html:ro']}, app: {image: b, volumes: ['v:/out']}}"
        "\nvolumes: {v: }"
    )
    assert (len(copies(result)), len(copies(result, "app"))) == (0, 1)
    (found,) = [d for d in result.diagnostics if d.code == "CMP347"]
    assert (found.line, found.severity) == (1, "info")


def test_what_comes_from_another_service_is_filled_by_it() -> None:
    result = convert("services: {a: {image: a, volumes: [/etc]}, b: {image: b, volumes_from: [a]}}")
    assert (len(copies(result, "a")), len(copies(result, "b"))) == (1, 0)


def test_the_copy_runs_in_the_image_by_what_the_wait_image_brings() -> None:
    result = web("me/app", "[/etc]", ", user: '5:6', mem_limit: 64m, pull_policy: always")
    (copier,) = copies(result)
    (mount,) = container(result)["volumeMounts"]
    assert copier["image"] == "me/app"
    assert copier["command"][:4] == ["/skerry-tools/env", "/skerry-tools/busybox", "sh", "-ec"]
    assert copier["command"][5:] == ["skerry-copy", "6", "30", "/etc", "/skerry-copy/0", "data"]
    assert copier["volumeMounts"] == [
        {"name": "skerry-tools", "mountPath": "/skerry-tools", "readOnly": True},
        {"name": mount["name"], "mountPath": "/skerry-copy/0"},
    ]
    assert copier["resources"] == container(result)["resources"]
    assert copier["imagePullPolicy"] == "Always"
    assert copier["securityContext"]["runAsUser"] == 0
    assert copier["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert codes(result) == []


def test_it_comes_after_the_wait_for_what_may_share_the_volume() -> None:
    result = convert(
        "services: {web: {image: a, volumes: [/etc], depends_on: [db]}, db: {image: b}}"
    )
    names = [c["name"] for c in pod(accepted(result), "web")["initContainers"]]
    assert names == ["skerry-wait", "skerry-tools", "skerry-copy-web"]


def test_services_of_one_pod_copy_from_their_own_images() -> None:
    result = convert(
        "services: {web: {image: a, volumes: [/etc]}, "
        "side: {image: b, pid: 'service:web', volumes: [/etc]}}"
    )
    assert [c["image"] for c in copies(result)] == ["a", "b"]
    assert len({c["name"] for c in copies(result)}) == 2


def script() -> str:
    """The container's script, by the tools of this machine."""
    (copier,) = copies(web("a", "[/etc]"))
    text: str = copier["command"][4].replace("$$", "$")
    return text.replace('/skerry-tools/env /skerry-tools/busybox "$@"', '"$@"')


def run(*words: str, beats: int = 30) -> None:
    group, *others = words
    command = ["/bin/sh", "-ec", script(), "skerry-copy", group, str(beats), *others]
    subprocess.run(command, check=True, timeout=120)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    image = tmp_path / "image"
    (image / ".hidden").mkdir(parents=True)
    (image / "a b").write_text("image's")
    image.chmod(0o711)
    (tmp_path / "volume").mkdir()
    return image


@pytest.fixture
def volume(image: Path) -> Path:
    return image.parent / "volume"


@pytest.mark.parametrize("folder", ["data", ""])
def test_an_empty_folder_is_filled_once(image: Path, volume: Path, folder: str) -> None:
    data = volume / folder
    run("", str(image), str(volume), folder)
    assert names(data) == {".hidden", "a b"}
    assert data.stat().st_mode & 0o777 == 0o711
    (data / "a b").write_text("service's")
    run("", str(image), str(volume), folder)
    assert (data / "a b").read_text() == "service's"


def test_a_copy_that_was_cut_off_is_done_again(image: Path, volume: Path) -> None:
    (volume / "data").mkdir()
    (volume / "data" / "a b").write_text("")
    (volume / ".skerry-unfinished").touch()
    run("", str(image), str(volume), "data")
    assert (volume / "data" / "a b").read_text() == "image's"
    assert names(volume) == {"data"}


def locked(volume: Path, *owners: str) -> None:
    (volume / ".skerry-copying").mkdir()
    for owner in owners:
        (volume / ".skerry-copying" / owner).touch()


# None: it was gone before it could name itself. Two: one was gone while it gave way to the other.
@pytest.mark.parametrize("owners", [(), ("gone",), ("gone", "gone-too")])
def test_the_lock_of_a_pod_that_is_gone_is_taken_over(
    image: Path, volume: Path, owners: tuple[str, ...]
) -> None:
    locked(volume, *owners)
    run("", str(image), str(volume), "data", beats=1)
    assert names(volume) == {"data"}
    assert "a b" in names(volume / "data")


def test_a_failed_copy_gives_its_lock_back_and_keeps_its_marker(image: Path, volume: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run("no-such-group", str(image), str(volume), "data")
    assert names(volume) == {"data", ".skerry-unfinished"}


_SLOW_MV = """\
#!/bin/sh
# The first to find the lock stale acts on it only after the second copies already.
if mkdir first 2>/dev/null; then
  until [ -e copying ]; do sleep 0.1; done
  PATH=/usr/bin:/bin mv "$@"; code=$?
  touch moved
  exit "$code"
fi
# However slow this machine is, the owner of the lock may finish.
if [ -e copying ]; then until [ -e copied ]; do sleep 0.1; done; fi
PATH=/usr/bin:/bin exec mv "$@"
"""
_SLOW_CP = """\
#!/bin/sh
mkdir copying || { touch both; exit 1; }
until [ -e moved ]; do sleep 0.1; done
sleep 1
PATH=/usr/bin:/bin cp "$@"
touch copied
"""


def test_of_two_that_find_a_lock_stale_one_takes_it(image: Path, volume: Path) -> None:
    locked(volume, "gone")
    tools = image.parent / "tools"
    tools.mkdir()
    for name, text in (("mv", _SLOW_MV), ("cp", _SLOW_CP)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    words = ["skerry-copy", "", "2", str(image), str(volume), "data"]
    copying = [
        subprocess.Popen(
            ["/bin/sh", "-ec", script(), *words],
            cwd=tools,
            env={"PATH": f"{tools}:/usr/bin:/bin"},
        )
        for _ in range(2)
    ]
    assert [one.wait(120) for one in copying] == [0, 0]
    assert not (tools / "both").exists()
    assert names(volume) == {"data"}
    assert "a b" in names(volume / "data")


def test_an_image_that_has_nothing_there_leaves_the_volume_alone(volume: Path) -> None:
    run("", str(volume.parent / "nothing"), str(volume), "data")
    assert names(volume) == set()
