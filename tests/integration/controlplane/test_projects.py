"""What all resources share, shown on projects: names, pages, etags, request ids, errors."""

import uuid
from pathlib import Path

import grpc
import pytest
from skerry.platform.v1 import project_pb2, project_pb2_grpc

from tests.integration.controlplane.harness import (
    ORGANIZATION,
    Client,
    control_plane,
    failure,
)


def create(project: str, **fields: str) -> project_pb2.CreateProjectRequest:
    return project_pb2.CreateProjectRequest(
        **{"parent": ORGANIZATION, "project_id": project, **fields}
    )


def get(project: str) -> project_pb2.GetProjectRequest:
    return project_pb2.GetProjectRequest(name=f"{ORGANIZATION}/projects/{project}")


def delete(project: str, **fields: str) -> project_pb2.DeleteProjectRequest:
    return project_pb2.DeleteProjectRequest(name=f"{ORGANIZATION}/projects/{project}", **fields)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_a_project_is_made_read_and_deleted(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        made = (await projects.CreateProject(create("shop", display_name="The shop"))).project
        assert made.name == f"{ORGANIZATION}/projects/shop"
        assert made.display_name == "The shop"
        assert made.uid
        assert made.etag
        assert (await projects.GetProject(get("shop"))).project == made
        await projects.DeleteProject(delete("shop", etag=made.etag))
        assert (await failure(projects.GetProject(get("shop")))).reason == "RESOURCE_NOT_FOUND"


async def test_what_is_not_there_is_named(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        failed = await failure(projects.GetProject(get("nowhere")))
    assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    info = failed.details["ResourceInfo"]
    assert (info.resource_type, info.resource_name) == (
        "skerry.dev/Project",
        f"{ORGANIZATION}/projects/nowhere",
    )


async def test_a_second_one_of_the_name_is_refused(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        await projects.CreateProject(create("shop"))
        failed = await failure(projects.CreateProject(create("shop")))
    assert (failed.code, failed.reason) == (grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (create(""), "project_id"),
        (create("Shop"), "project_id"),
        (create("x" * 31), "project_id"),
        (create("shop", parent=""), "parent"),
        (create("shop", parent="organisations/default"), "parent"),
        (create("shop", request_id="not-a-uuid"), "request_id"),
    ],
)
async def test_a_bad_field_is_named(
    data_dir: Path, request_: project_pb2.CreateProjectRequest, field: str
) -> None:
    async with control_plane(data_dir) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        failed = await failure(projects.CreateProject(request_))
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert [item.field for item in failed.details["BadRequest"].field_violations] == [field]


async def test_a_repeat_with_the_same_request_id_does_nothing_more(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        request = create("shop", request_id=str(uuid.uuid4()))
        first = await projects.CreateProject(request)
        assert await projects.CreateProject(request) == first


async def test_a_request_id_is_good_for_one_request(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        request_id = str(uuid.uuid4())
        await projects.CreateProject(create("shop", request_id=request_id))
        failed = await failure(projects.CreateProject(create("other", request_id=request_id)))
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


async def test_an_old_etag_is_refused(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        await projects.CreateProject(create("shop"))
        failed = await failure(projects.DeleteProject(delete("shop", etag="abc-1")))
    assert (failed.code, failed.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


async def pages(projects: Client, size: int) -> list[list[str]]:
    found, token = [], ""
    while True:
        page = await projects.ListProjects(
            project_pb2.ListProjectsRequest(parent=ORGANIZATION, page_size=size, page_token=token)
        )
        found.append([project.name.rpartition("/")[2] for project in page.projects])
        token = page.next_page_token
        if not token:
            return found


async def test_pages_hold_everything_once_in_order(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        for name in ("delta", "alpha", "echo", "bravo", "charlie"):
            await projects.CreateProject(create(name))
        assert await pages(projects, 2) == [["alpha", "bravo"], ["charlie", "delta"], ["echo"]]
        assert await pages(projects, 0) == [["alpha", "bravo", "charlie", "delta", "echo"]]


async def test_a_page_token_of_nobody_is_refused(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        projects = plane.stub(project_pb2_grpc.ProjectServiceStub)
        request = project_pb2.ListProjectsRequest(parent=ORGANIZATION, page_token="made-up")
        failed = await failure(projects.ListProjects(request))
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
