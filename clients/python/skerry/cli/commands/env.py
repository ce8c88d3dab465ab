"""`skerry env`: environments, one namespace of one cluster each."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import errors, names
from skerry.cli.command import command, group
from skerry.cli.commands.cluster import full as cluster_name
from skerry.cli.exit_codes import UsageError
from skerry.cli.operations import wait_for
from skerry.cli.options import Everywhere, Wait, Within, Yes
from skerry.cli.output.tables import Tables
from skerry.cli.output.writer import Format
from skerry.cli.run import Run, resource_id
from skerry.cli.suggest import clusters, environments

app = group("Environments: create, list, get, link, delete.")

LONGEST_ID = 20
Name = Annotated[str, typer.Argument(metavar="ENV", autocompletion=environments)]


@command(app, "list", examples="skerry env list --project shop\nskerry env list --all")
async def list_environments(
    run: Run,
    every: Everywhere = False,
) -> None:
    """List a project's environments."""
    parent = names.project(names.ANY) if every else run.project()
    project = run.settings.project.value
    async with run.client() as client:
        await run.out.many(
            client.environments.list(parent),
            Tables(run.around.now()).environments,
            empty="No environments yet: skerry env create NAME"
            + ("" if every else f" --project {project}"),
        )


@command(app, "get", examples="skerry env get prod --project shop")
async def get_environment(run: Run, name: Name) -> None:
    """Show one environment."""
    async with run.client() as client:
        environment = await client.environments.get(_full(run, name))
        run.out.one(environment, Tables(run.around.now()).environments)


@command(
    app,
    "create",
    examples="""
        skerry env create prod --project shop
        skerry env create prod --project shop --cluster home
    """,
)
async def create_environment(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="ENV", help="Its id.")],
    cluster: Annotated[
        str,
        typer.Option(
            "--cluster",
            metavar="CLUSTER",
            help="Where it is; needed when there are several.",
            autocompletion=clusters,
        ),
    ] = "",
    display_name: Annotated[
        str, typer.Option("--display-name", metavar="TEXT", help="For people.")
    ] = "",
    protected: Annotated[
        bool,
        typer.Option("--protected", help="Deploys and commands in it need a maintainer."),
    ] = False,
    wait: Wait = True,
    within: Within = "2m",
) -> None:
    """Make an environment and wait for its namespace, quota and policies."""
    async with run.client() as client:
        made = await client.environments.create(
            run.project(),
            resource_id(name, "an environment", LONGEST_ID),
            cluster=cluster_name(cluster) if cluster else "",
            display_name=display_name,
            protected=protected,
        )
        if wait and made.HasField("operation"):
            await wait_for(run, client, made.operation, within)
    if run.out.form is not Format.TABLE:
        run.out.structured(made.environment)
    project = run.settings.project.value
    run.out.say(f"Environment {name} is made. Next: skerry deploy --project {project} --env {name}")


@command(
    app,
    "update",
    examples="skerry env update prod --project shop --protected",
)
async def update_environment(
    run: Run,
    name: Name,
    protected: Annotated[
        bool | None,
        typer.Option(
            "--protected/--unprotected",
            help="Whether deploys and commands in it need a maintainer.",
        ),
    ] = None,
    display_name: Annotated[
        str | None, typer.Option("--display-name", metavar="TEXT", help="For people.")
    ] = None,
) -> None:
    """Change an environment."""
    if protected is None and display_name is None:
        raise UsageError("say what to change: --protected, --unprotected or --display-name")
    async with run.client() as client:
        await client.environments.update(
            _full(run, name), display_name=display_name, protected=protected
        )
    run.out.say(f"Environment {name} is changed")


@command(app, "link", examples="skerry env link prod blog/prod --project shop")
async def link_environments(
    run: Run,
    name: Name,
    peer: Annotated[
        str,
        typer.Argument(metavar="[PROJECT/]ENV", help="The other one.", autocompletion=environments),
    ],
    wait: Wait = True,
    within: Within = "2m",
) -> None:
    """Let the pods of two environments of one cluster reach each other."""
    async with run.client() as client:
        made = await client.environment_links.create(_full(run, name), _full(run, peer))
        if wait:
            for operation in made.operations:
                await wait_for(run, client, operation, within)
    if run.out.form is not Format.TABLE:
        run.out.structured(made.link)
    run.out.say(f"Environments {name} and {peer} reach each other; end it: skerry env unlink")


@command(app, "links", examples="skerry env links prod --project shop")
async def list_links(run: Run, name: Name) -> None:
    """List the links of an environment, whichever side made them."""
    async with run.client() as client:
        await run.out.many(
            client.environment_links.list(_full(run, name)),
            Tables(run.around.now()).environment_links,
            empty=f"No links: nothing but {name} itself reaches its pods",
        )


@command(app, "unlink", examples="skerry env unlink prod blog/prod --project shop")
async def unlink_environments(
    run: Run,
    name: Name,
    peer: Annotated[
        str,
        typer.Argument(metavar="[PROJECT/]ENV", help="The other one.", autocompletion=environments),
    ],
    wait: Wait = True,
    within: Within = "2m",
) -> None:
    """End the link between two environments."""
    async with run.client() as client:
        async for link in client.environment_links.list(_full(run, name)):
            if link.peer == _full(run, peer):
                break
        else:
            raise errors.NotFound(f"{name} and {peer} are not linked: skerry env links {name}")
        for operation in await client.environment_links.delete(link.name):
            if wait:
                await wait_for(run, client, operation, within)
    run.out.say(f"Environments {name} and {peer} are no longer linked")


@command(app, "delete", examples="skerry env delete prod --project shop --force --yes")
async def delete_environment(
    run: Run,
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Delete the apps and volumes in it, too.")
    ] = False,
    yes: Yes = False,
    wait: Wait = True,
    within: Within = "5m",
) -> None:
    """Delete an environment; one that holds apps only with --force."""
    what = " with ALL ITS APPS, VOLUMES AND DATA" if force else ""
    run.confirm(f"Delete environment {name}{what}?", yes=yes)
    async with run.client() as client:
        operation = await client.environments.delete(_full(run, name), force=force)
        if wait:
            await wait_for(run, client, operation, within)
    run.out.say(f"Environment {name} is {'deleted' if wait else 'being deleted'}")


def _full(run: Run, text: str) -> str:
    if text.startswith("organizations/"):
        return text
    if "/" in text:
        return names.environment(*text.split("/", 1))  # PROJECT/ENV
    return names.environment(run.settings.project.value, text)
