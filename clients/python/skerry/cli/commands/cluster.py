"""`skerry cluster`: clusters, their join tokens and add-ons."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, group
from skerry.cli.durations import parse_duration
from skerry.cli.live import follow
from skerry.cli.options import Watch, Yes
from skerry.cli.output import link
from skerry.cli.output.tables import Tables
from skerry.cli.output.writer import Format
from skerry.cli.run import Run, resource_id
from skerry.cli.suggest import clusters
from skerry.platform.v1 import cluster_pb2

app = group("Clusters, their join tokens and add-ons.")

Name = Annotated[str, typer.Argument(metavar="CLUSTER", autocompletion=clusters)]
EMPTY = "No clusters yet: skerry cluster create NAME"


def full(text: str) -> str:
    """`home` or `clusters/home` as a resource name."""
    return text if text.startswith("clusters/") else names.cluster(text)


@command(app, "list", scoped=False, examples="skerry cluster list\nskerry cluster list --watch")
async def list_clusters(run: Run, watch: Watch = False) -> None:
    """List the clusters and whether their agents are connected."""
    async with run.client() as client:
        if watch:
            stream = client.clusters.watch(on_cut=run.cut)
            await follow(run, stream, lambda: Tables(run.around.now()).clusters, empty=EMPTY)
        else:
            tables = Tables(run.around.now())
            await run.out.many(client.clusters.list(), tables.clusters, empty=EMPTY)


@command(app, "get", scoped=False, examples="skerry cluster get home -o yaml")
async def get_cluster(run: Run, name: Name) -> None:
    """Show one cluster and how good the link to its agent is; -o yaml shows its nodes and storage classes, too."""
    async with run.client() as client:
        cluster = await client.clusters.get(full(name))
    run.out.one(cluster, Tables(run.around.now()).clusters)
    if run.out.form is Format.TABLE:
        for line, tone in link.lines(cluster, run.around.now()):
            run.out.say(line, tone)


@command(app, "create", scoped=False, examples="skerry cluster create home")
async def create_cluster(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="CLUSTER", help="Its id.")],
    display_name: Annotated[
        str, typer.Option("--display-name", metavar="TEXT", help="For people.")
    ] = "",
) -> None:
    """Make a cluster that an agent can then join."""
    async with run.client() as client:
        cluster = await client.clusters.create(
            resource_id(name, "a cluster"), display_name=display_name
        )
    if run.out.form is not Format.TABLE:
        run.out.structured(cluster)
    run.out.say(f"Cluster {name} is made. Next: skerry cluster join-token {name}")


@command(app, "delete", scoped=False, examples="skerry cluster delete home --yes")
async def delete_cluster(
    run: Run,
    name: Name,
    yes: Yes = False,
) -> None:
    """Forget a cluster that holds no environments; its agent is refused from then on."""
    run.confirm(f"Forget cluster {name}? Its agent will have to join anew.", yes=yes)
    async with run.client() as client:
        await client.clusters.delete(full(name))
    run.out.say(f"Cluster {name} is forgotten")


@command(
    app,
    "join-token",
    scoped=False,
    examples="""
        skerry cluster join-token home > token
        skerry cluster join-token home --ttl 10m -o json
    """,
)
async def join_token(
    run: Run,
    name: Name,
    ttl: Annotated[
        str,
        typer.Option(
            "--ttl", metavar="DURATION", help="How long it is valid, at most 24h. [default: 1h]"
        ),
    ] = "",
) -> None:
    """Make a token with which one agent can join, once. It is shown here and nowhere else."""
    span = parse_duration(ttl) if ttl else None
    async with run.client() as client:
        made = await client.clusters.create_join_token(full(name), ttl=span)
    if run.out.form in (Format.JSON, Format.YAML):
        run.out.structured(made)
        return
    run.out.line(made.token)
    run.out.say(
        f"Agents connect to {made.agent_address}. Beside the cluster, run:\n"
        "  skerry-agent run --kubeconfig FILE --join-token-file FILE"
    )


@command(
    app,
    "join-tokens",
    scoped=False,
    examples="skerry cluster join-tokens home\nskerry cluster join-tokens home --delete 01K…",
)
async def join_tokens(
    run: Run,
    name: Name,
    delete: Annotated[
        str, typer.Option("--delete", metavar="ID", help="Make this token worthless.")
    ] = "",
) -> None:
    """List the join tokens of a cluster that can still be used, or delete one."""
    async with run.client() as client:
        if delete:
            await client.clusters.delete_join_token(f"{full(name)}/joinTokens/{names.last(delete)}")
            run.out.say(f"Join token {names.last(delete)} is worthless now")
            return
        empty = f"No unused join tokens: skerry cluster join-token {name}"
        await run.out.many(
            client.clusters.list_join_tokens(full(name)),
            Tables(run.around.now()).join_tokens,
            empty=empty,
        )


@command(app, "revoke", scoped=False, examples="skerry cluster revoke home --yes")
async def revoke(run: Run, name: Name, yes: Yes = False) -> None:
    """Take the agent's identity away, at once: its link is cut, it and all unused join tokens are refused."""
    run.confirm(
        f"Revoke the identity of cluster {name}'s agent? It will have to join with a new token.",
        yes=yes,
    )
    async with run.client() as client:
        cluster = await client.clusters.revoke_identity(full(name))
    if run.out.form is not Format.TABLE:
        run.out.structured(cluster)
    run.out.say(f"Cluster {name} has no agent now. To let one in: skerry cluster join-token {name}")


@command(app, "rotate", scoped=False, examples="skerry cluster rotate home")
async def rotate(run: Run, name: Name, yes: Yes = False) -> None:
    """Ask the agent for a new key and certificate now. Unlocks an identity of which there was a copy."""
    async with run.client() as client:
        before = await client.clusters.get(full(name))
        if before.identity.state == cluster_pb2.IDENTITY_STATE_LOCKED:
            run.confirm(
                f"The identity is locked: {before.identity.message}\n"
                "Unlock it? The agent that comes first keeps it, so the copy must be stopped.",
                yes=yes,
            )
        cluster = await client.clusters.rotate_identity(full(name))
    if run.out.form is not Format.TABLE:
        run.out.structured(cluster)
    online = cluster.connection in (
        cluster_pb2.CONNECTION_STATE_ONLINE,
        cluster_pb2.CONNECTION_STATE_DEGRADED,
    )
    when = (
        "The agent makes a new key now" if online else "The agent makes a new key when it is back"
    )
    run.out.say(f"{when}: skerry cluster get {name} shows its certificate")


@command(
    app,
    "addons",
    scoped=False,
    examples="skerry cluster addons home\nskerry cluster addons home --watch",
)
async def add_ons(run: Run, name: Name, watch: Watch = False) -> None:
    """Show the infrastructure that the agent keeps installed; failures with the end of their log."""
    empty = f"No add-ons reported by cluster {name} yet: skerry cluster get {name} shows its agent"
    async with run.client() as client:
        if watch:
            stream = client.clusters.watch_add_ons(full(name), on_cut=run.cut)
            await follow(run, stream, lambda: Tables(run.around.now()).add_ons, empty=empty)
            return
        found = [add_on async for add_on in client.clusters.list_add_ons(full(name))]
    run.out.all(found, Tables(run.around.now()).add_ons, empty=empty)
    if run.out.form is Format.TABLE:
        for add_on in found:
            if add_on.log_tail and add_on.state == cluster_pb2.ADD_ON_STATE_FAILED:
                run.out.say(f"\n{names.last(add_on.name)}, end of the log:\n{add_on.log_tail}")
