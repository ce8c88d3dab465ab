"""The nouns: every command against the fake server, in every output form."""

from __future__ import annotations

import json

import grpc
import pytest
import yaml
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from skerry.cli.output import words
from skerry.platform.v1 import (
    app_pb2,
    cluster_pb2,
    deployment_pb2,
    environment_pb2,
    operation_pb2,
    project_pb2,
    state_pb2,
)

from tests.fakes.control_plane import FakeControlPlane
from tests.fakes.script import Fail
from tests.unit.skerry.cli.conftest import NOW, Cli


def ago(seconds: int) -> Timestamp:
    return Timestamp(seconds=int(NOW.timestamp()) - seconds)


@pytest.fixture(autouse=True)
def world(fake: FakeControlPlane) -> None:
    facts = cluster_pb2.ClusterFacts(
        kubernetes_version="v1.35.4", distribution="k3s", nodes=[cluster_pb2.Node(ready=True)]
    )
    fake.add_cluster("home", facts=facts, last_seen_time=ago(3), create_time=ago(7200))
    fake.add_ons["clusters/home"] = [
        cluster_pb2.AddOn(
            name="clusters/home/addOns/garage",
            version="2.1.0",
            state=cluster_pb2.ADD_ON_STATE_FAILED,
            attempts=3,
            message="the chart cannot be fetched",
            log_tail="dial tcp: timeout",
        )
    ]
    fake.add_app(
        "web",
        services=[
            app_pb2.ServiceStatus(
                service="api",
                state=state_pb2.STATE_FAILED,
                desired=1,
                message="image not found",
                image="api:1",
                pods=[app_pb2.PodStatus(pod="api-1", phase="Pending", message="image not found")],
            )
        ],
        observe_time=ago(90),
    )
    app = next(iter(fake.apps))
    fake.deployments[f"{app}/deployments/d1"] = deployment_pb2.Deployment(
        name=f"{app}/deployments/d1", revision=1, phase=deployment_pb2.DEPLOYMENT_PHASE_READY
    )
    fake.revisions[f"{app}/revisions/1"] = deployment_pb2.Revision(
        name=f"{app}/revisions/1", revision=1, was_ready=True, compose_files=["compose.yaml"]
    )
    fake.operations["operations/op1"] = operation_pb2.Operation(
        name="operations/op1", kind="deploy", target=app, done=True
    )


LISTS = [
    (["cluster", "list"], "clusters/home", "home  online  3s         v1.35.4 k3s  1/1"),
    (["cluster", "addons", "home"], "clusters/home/addOns/garage", "garage  2.1.0    failed"),
    (["project", "list"], "organizations/default/projects/shop", "shop"),
    (
        ["env", "list"],
        "organizations/default/projects/shop/environments/prod",
        "prod  shop     ready  home     shop-prod-abc123",
    ),
    (
        ["app", "list"],
        "organizations/default/projects/shop/environments/prod/apps/web",
        "web   shop     prod  ready  1         api       90s   api: image not found",
    ),
    (["status"], "organizations/default/projects/shop/environments/prod/apps/web", "web   shop"),
    (
        ["deployments", "web"],
        "organizations/default/projects/shop/environments/prod/apps/web/deployments/d1",
        "d1    1         ready",
    ),
    (
        ["revisions", "web"],
        "organizations/default/projects/shop/environments/prod/apps/web/revisions/1",
        "1         yes        compose.yaml",
    ),
    (
        ["operation", "list"],
        "operations/op1",
        "op1   deploy  projects/shop/environments/prod/apps/web",
    ),
]


@pytest.mark.parametrize(("command", "name", "row"), LISTS, ids=lambda v: str(v))
async def test_lists_in_every_form(cli: Cli, command: list[str], name: str, row: str) -> None:
    table = await cli(*command)
    assert table.code == 0
    headings, first = table.out.splitlines()
    assert headings == headings.upper()
    assert first.startswith(row)

    as_json = json.loads((await cli(*command, "-o", "json")).out)
    (field,) = as_json.keys() - {"nextPageToken"}
    assert [item["name"] for item in as_json[field]] == [name]
    assert yaml.safe_load((await cli(*command, "-o", "yaml")).out) == as_json
    assert (await cli(*command, "-o", "name")).out == f"{name}\n"


GETS = [
    (["cluster", "get", "home"], "clusters/home"),
    (["project", "get", "shop"], "organizations/default/projects/shop"),
    (["env", "get", "prod"], "organizations/default/projects/shop/environments/prod"),
    (["app", "get", "web"], "organizations/default/projects/shop/environments/prod/apps/web"),
    (
        ["app", "get", "shop/prod/web", "--env", "other"],
        "organizations/default/projects/shop/environments/prod/apps/web",
    ),
    (["status", "web"], "organizations/default/projects/shop/environments/prod/apps/web"),
    (["operation", "get", "op1"], "operations/op1"),
]


@pytest.mark.parametrize(("command", "name"), GETS, ids=lambda v: str(v))
async def test_one_resource_in_every_form(cli: Cli, command: list[str], name: str) -> None:
    assert (await cli(*command, "-o", "name")).out == f"{name}\n"
    as_json = json.loads((await cli(*command, "-o", "json")).out)
    assert as_json["name"] == name
    assert yaml.safe_load((await cli(*command, "-o", "yaml")).out) == as_json
    assert len((await cli(*command)).out.splitlines()) >= 2


async def test_a_list_as_json_is_the_apis_list_response(cli: Cli) -> None:
    for command, message in (
        (["cluster", "list"], cluster_pb2.ListClustersResponse()),
        (["cluster", "addons", "home"], cluster_pb2.ListAddOnsResponse()),
        (["project", "list"], project_pb2.ListProjectsResponse()),
        (["env", "list"], environment_pb2.ListEnvironmentsResponse()),
        (["app", "list"], app_pb2.ListAppsResponse()),
        (["deployments", "web"], deployment_pb2.ListDeploymentsResponse()),
        (["revisions", "web"], deployment_pb2.ListRevisionsResponse()),
        (["operation", "list"], operation_pb2.ListOperationsResponse()),
    ):
        json_format.Parse((await cli(*command, "-o", "json")).out, message)
        assert message.ByteSize() > 0


async def test_json_keeps_fields_without_a_value(cli: Cli) -> None:
    cluster = json.loads((await cli("cluster", "get", "home", "-o", "json")).out)
    assert cluster["displayName"] == ""
    assert cluster["connection"] == "CONNECTION_STATE_ONLINE"


async def test_a_failed_add_on_shows_the_end_of_its_log(cli: Cli) -> None:
    assert (
        "garage, end of the log:\ndial tcp: timeout" in (await cli("cluster", "addons", "home")).err
    )


async def test_status_of_an_app_shows_services_and_pods(cli: Cli) -> None:
    lines = (await cli("status", "web")).out.splitlines()
    assert lines[4] == "api      failed  0/1    0         api:1  image not found"
    assert lines[7].startswith("api-1  pending  no     0")


EMPTY = [
    (["cluster", "list"], "skerry cluster create NAME"),
    (["project", "list"], "skerry project create NAME"),
    (["env", "list"], "skerry env create NAME --project shop"),
    (["app", "list"], "skerry deploy -f docker-compose.yml"),
    (["status"], "skerry deploy -f docker-compose.yml"),
    (["operation", "list"], "Nothing was done yet"),
]


@pytest.mark.parametrize(("command", "hint"), EMPTY, ids=lambda v: str(v))
async def test_an_empty_list_says_what_to_do(
    fake: FakeControlPlane, cli: Cli, command: list[str], hint: str
) -> None:
    for kept in (fake.clusters, fake.projects, fake.environments, fake.apps, fake.operations):
        kept.clear()
    table = await cli(*command)
    assert (table.code, table.out) == (0, "")
    assert hint in table.err
    as_json = json.loads((await cli(*command, "-o", "json")).out)
    assert list(as_json.values()) == [[], ""]
    assert (await cli(*command, "--quiet")).err == ""


async def test_making_things_says_the_next_step(fake: FakeControlPlane, cli: Cli) -> None:
    assert "skerry cluster join-token lab" in (await cli("cluster", "create", "lab")).err
    assert "skerry env create" in (await cli("project", "create", "blog")).err
    made = await cli("env", "create", "dev", "--project", "blog", "--cluster", "lab", "-o", "name")
    assert made.out == "organizations/default/projects/blog/environments/dev\n"
    assert fake.requests("CreateEnvironment")[0].cluster == "clusters/lab"


async def test_a_join_token_alone_is_on_stdout(fake: FakeControlPlane, cli: Cli) -> None:
    made = await cli("cluster", "join-token", "home", "--ttl", "10m")
    assert made.out == "skj1.secret\n"
    assert "skerry-agent run" in made.err
    assert fake.requests("CreateJoinToken")[0].ttl.seconds == 600
    as_json = json.loads((await cli("cluster", "join-token", "home", "-o", "json")).out)
    assert as_json["token"] == "skj1.secret"


async def test_revoking_an_identity_needs_a_yes(fake: FakeControlPlane, cli: Cli) -> None:
    refused = await cli("cluster", "revoke", "home")
    assert refused.code == 2
    assert "add --yes" in refused.err
    assert not fake.requests("RevokeClusterIdentity")
    done = await cli("cluster", "revoke", "home", "--yes", "-o", "json")
    assert json.loads(done.out)["identity"]["state"] == "IDENTITY_STATE_REVOKED"
    assert "skerry cluster join-token home" in done.err
    assert "revoked" in (await cli("cluster", "list")).out
    assert (await cli("cluster", "revoke", "nowhere", "--yes")).code == 3


async def test_rotating_asks_only_when_it_unlocks(fake: FakeControlPlane, cli: Cli) -> None:
    done = await cli("cluster", "rotate", "home")
    assert done.code == 0
    assert "makes a new key now" in done.err
    identity = fake.clusters["clusters/home"].identity
    identity.state, identity.message = cluster_pb2.IDENTITY_STATE_LOCKED, "there is a copy"
    assert "locked" in (await cli("cluster", "get", "home")).out
    refused = await cli("cluster", "rotate", "home")
    assert refused.code == 2
    assert len(fake.requests("RotateClusterIdentity")) == 1
    assert (await cli("cluster", "rotate", "home", "--yes")).code == 0


async def test_join_tokens_are_listed_and_deleted(fake: FakeControlPlane, cli: Cli) -> None:
    assert "skerry cluster join-token home" in (await cli("cluster", "join-tokens", "home")).err
    name = "clusters/home/joinTokens/01k"
    fake.join_tokens[name] = cluster_pb2.JoinToken(
        name=name, create_time=ago(60), expire_time=ago(-60)
    )
    listed = await cli("cluster", "join-tokens", "home")
    assert listed.out.splitlines()[1].startswith("01k")
    as_json = json.loads((await cli("cluster", "join-tokens", "home", "-o", "json")).out)
    assert [item["name"] for item in as_json["joinTokens"]] == [name]
    assert (await cli("cluster", "join-tokens", "home", "--delete", "01k")).code == 0
    assert not fake.join_tokens


def test_an_identity_in_words() -> None:
    active = cluster_pb2.ClusterIdentity(
        state=cluster_pb2.IDENTITY_STATE_ACTIVE, expire_time=ago(-3 * 3600)
    )
    assert words.identity(active, NOW)[0] == "active 3h"
    active.renewal_pending = True
    assert words.identity(active, NOW)[0] == "renewing 3h"
    active.expire_time.CopyFrom(ago(1))
    assert words.identity(active, NOW)[0] == "expired"
    assert words.identity(cluster_pb2.ClusterIdentity(), NOW)[0] == ""


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (["cluster", "delete", "home"], "clusters"),
        (["project", "delete", "shop"], "projects"),
        (["env", "delete", "prod"], "environments"),
        (["app", "delete", "web"], "apps"),
    ],
    ids=str,
)
async def test_deleting_needs_a_yes(
    fake: FakeControlPlane, cli: Cli, command: list[str], kept: str
) -> None:
    refused = await cli(*command)
    assert refused.code == 2
    assert "add --yes" in refused.err
    assert getattr(fake, kept)
    assert (await cli(*command, "--yes")).code == 0
    assert not getattr(fake, kept)


async def test_volumes_are_deleted_only_when_asked(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_app("api")
    await cli("app", "delete", "web", "--yes")
    await cli("app", "delete", "api", "--yes", "--delete-volumes")
    assert [r.delete_volumes for r in fake.requests("DeleteApp")] == [False, True]


@pytest.mark.parametrize(
    ("command", "suggestion"),
    [
        (["cluster", "create", "My Cluster"], "my-cluster"),
        (["project", "create", "9lives"], "lives"),
        (["env", "create", "x" * 21], "x" * 20),
    ],
    ids=str,
)
async def test_an_impossible_id_is_refused_with_a_possible_one(
    cli: Cli, command: list[str], suggestion: str
) -> None:
    refused = await cli(*command)
    assert refused.code == 2
    assert f"try {suggestion}" in refused.err


async def test_operations_are_waited_for_and_fail_as_they_do(
    fake: FakeControlPlane, cli: Cli
) -> None:
    assert (await cli("operation", "wait", "op1")).code == 0
    failed = operation_pb2.Operation(name="operations/op2", kind="deploy", target="x", done=True)
    failed.error.code = 9
    failed.error.reason = 15
    failed.error.message = "it still holds apps"
    fake.operations["operations/op2"] = failed
    waited = await cli("operation", "wait", "op2")
    assert (waited.code, waited.err) == (6, "error: it still holds apps\n")


async def test_an_operation_is_cancelled(fake: FakeControlPlane, cli: Cli) -> None:
    fake.operations["operations/op1"].done = False
    assert "asked to stop" in (await cli("operation", "cancel", "op1")).err
    assert fake.operations["operations/op1"].cancel_requested


WATCHES = [
    (["cluster", "list", "--watch"], "WatchClusters", "snapshot  home  online"),
    (["cluster", "addons", "home", "-w"], "WatchAddOns", "snapshot  garage  2.1.0  failed"),
    (["status", "--watch"], "WatchApps", "snapshot  web  shop  prod  ready"),
    (["status", "web", "--watch"], "WatchApps", "snapshot  web  shop  prod  ready"),
]
GONE = Fail(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND", "gone")


@pytest.mark.parametrize(("command", "rpc", "line"), WATCHES, ids=str)
async def test_watches_print_a_line_a_change(
    fake: FakeControlPlane, cli: Cli, command: list[str], rpc: str, line: str
) -> None:
    snapshot = {
        "WatchClusters": [
            cluster_pb2.WatchClustersResponse(
                type=cluster_pb2.EVENT_TYPE_SNAPSHOT, cluster=fake.clusters["clusters/home"]
            )
        ],
        "WatchAddOns": [
            cluster_pb2.WatchAddOnsResponse(
                type=cluster_pb2.EVENT_TYPE_SNAPSHOT, add_on=fake.add_ons["clusters/home"][0]
            )
        ],
        "WatchApps": [
            app_pb2.WatchAppsResponse(type=cluster_pb2.EVENT_TYPE_SNAPSHOT, app=app)
            for app in fake.apps.values()
        ],
    }[rpc]
    fake.script(rpc, [*snapshot, GONE], [*snapshot, GONE])
    watched = await cli(*command)
    assert watched.code == 3
    assert watched.out.startswith(line)
    event = json.loads((await cli(*command, "-o", "json")).out.splitlines()[0])
    assert event["type"] == "snapshot"
    assert event["resource"]["name"]


async def test_a_watch_on_a_terminal_is_one_table_redrawn(fake: FakeControlPlane, cli: Cli) -> None:
    cli.terminals = {"stdout_is_terminal": True}
    (web,) = fake.apps.values()
    other = app_pb2.App(name=web.name.replace("web", "other"), state=state_pb2.STATE_PENDING)

    def event(kind: str, app: app_pb2.App | None = None) -> app_pb2.WatchAppsResponse:
        number = cluster_pb2.EventType.Value(f"EVENT_TYPE_{kind}")
        return app_pb2.WatchAppsResponse(type=number, app=app)

    fake.script(
        "WatchApps",
        [
            event("SNAPSHOT", web),
            event("SYNCED"),
            event("UPDATED", other),
            event("DELETED", web),
            GONE,
        ],
    )
    watched = await cli("status", "--watch")
    assert "\x1b[2K" in watched.out  # Lines were erased and drawn anew.
    final = watched.out[watched.out.rindex("NAME") :]
    assert "other" in final
    assert "image not found" not in final


async def test_environments_are_linked_and_unlinked_from_either_side(
    cli: Cli, fake: FakeControlPlane
) -> None:
    fake.add_environment("blog", "prod")
    made = await cli("env", "link", "prod", "blog/prod", "--project", "shop")
    assert made.code == 0, made.err
    (request,) = fake.requests("CreateEnvironmentLink")
    assert request.peer == "organizations/default/projects/blog/environments/prod"
    assert request.request_id
    listed = await cli("env", "links", "blog/prod", "--project", "shop")
    assert "projects/shop/environments/prod" in listed.out
    ended = await cli("env", "unlink", "blog/prod", "shop/prod", "--project", "shop")
    assert ended.code == 0, ended.err
    assert fake.links == {}
    again = await cli("env", "unlink", "prod", "blog/prod", "--project", "shop")
    assert again.code != 0
    assert "not linked" in again.err


async def test_an_environment_that_was_touched_says_so(cli: Cli, fake: FakeControlPlane) -> None:
    environment = fake.environments["organizations/default/projects/shop/environments/prod"]
    environment.conditions.add(
        type="Isolated", status=False, reason="ForeignPolicies", message="allow-all is not Skerry's"
    )
    shown = await cli("env", "get", "prod", "--project", "shop")
    assert "NO (ForeignPolicies)" in shown.out
    assert "allow-all is not Skerry's" in shown.out


async def test_a_degraded_link_says_why(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_cluster(
        "slow",
        connection=cluster_pb2.CONNECTION_STATE_DEGRADED,
        round_trip=Duration(seconds=2),
        link=cluster_pb2.LinkHealth(
            problems=[
                cluster_pb2.LinkProblem(
                    reason=cluster_pb2.LINK_PROBLEM_REASON_HIGH_ROUND_TRIP,
                    message="the agent answers after 1.5 s",
                )
            ],
            smoothed_round_trip=Duration(seconds=1, nanos=500_000_000),
            epoch=7,
            protocol=1,
            connect_time=ago(3600),
            streams=[cluster_pb2.LinkStreams(kind="logs", count=2)],
            received_bytes=2048,
            reconnects_last_hour=3,
            last_disconnect_reason="SILENT",
            last_disconnect_time=ago(3600),
            pending_commands=4,
        ),
    )
    shown = await cli("cluster", "get", "slow")
    assert "degraded" in shown.out
    for said in (
        "the agent answers after 1.5 s",
        "round trip 2000.0 ms (smoothed 1500.0 ms)",
        "streams 2 logs",
        "in 2.0 KiB, out 0 B",
        "connection 7, protocol 1",
        "3 connections lost within the last hour",
        "as SILENT",
        "4 commands have not ended",
    ):
        assert said in shown.err
    problem = json.loads((await cli("cluster", "get", "slow", "-o", "json")).out)["link"]
    assert problem["problems"][0]["reason"] == "LINK_PROBLEM_REASON_HIGH_ROUND_TRIP"
