"""A database that cannot be written fails calls, says so, and is used again when it can."""

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from skerry.platform.v1 import project_pb2, project_pb2_grpc

from controlplane.domain.errors import StorageUnavailable
from tests.integration.controlplane.harness import ORGANIZATION, control_plane, failure


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    target = tmp_path / "disk"
    target.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "skerry-test", str(target)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    yield target
    subprocess.run(["umount", str(target)], check=True)


def create(project: str) -> project_pb2.CreateProjectRequest:
    return project_pb2.CreateProjectRequest(parent=ORGANIZATION, project_id=project)


def fill(directory: Path) -> Path:
    """Takes all the space that is left."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


async def test_a_full_disk_fails_writes_only_while_it_is_full(
    small_disk: Path, tmp_path: Path
) -> None:
    async with control_plane(
        small_disk / "data", admin_token_file=tmp_path / "disk" / "data-admin-token"
    ) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        await projects.CreateProject(create("before"))
        ballast = fill(small_disk)
        failures = []
        for number in range(40):
            request = create(f"during-{number}")
            try:
                await projects.CreateProject(request)
            except grpc.aio.AioRpcError:
                failures.append(await failure(projects.CreateProject(create(f"again-{number}"))))
                break
        assert [(item.code, item.reason) for item in failures] == [
            (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
        ]
        assert "disk" in failures[0].message
        assert "RetryInfo" in failures[0].details
        listed = await projects.ListProjects(project_pb2.ListProjectsRequest(parent=ORGANIZATION))
        names = [project.name.rpartition("/")[2] for project in listed.projects]
        assert "before" in names
        assert not any(name.startswith("again") for name in names)
        ballast.unlink()
        await projects.CreateProject(create("after"))


async def test_a_locked_database_fails_writes_and_readiness(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "skerry.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            failed = await failure(projects.CreateProject(create("shop")))
            assert (failed.code, failed.reason) == (
                grpc.StatusCode.UNAVAILABLE,
                "STORAGE_UNAVAILABLE",
            )
            code, body = await plane.get("/readyz")
            assert code == 503
            assert "locked" in body
            assert (await plane.get("/healthz"))[0] == 200
        await projects.CreateProject(create("shop"))
        assert (await plane.get("/readyz"))[0] == 200


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like one" * 100])
async def test_a_damaged_database_is_not_served(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "skerry.db").write_bytes(content)
    with pytest.raises(StorageUnavailable, match="not a database"):
        async with control_plane(tmp_path / "data"):
            pass
    assert (tmp_path / "data" / "skerry.db").read_bytes() == content
