"""`skerry user`: who may log in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from skerry.cli.command import command, group
from skerry.cli.exit_codes import UsageError
from skerry.cli.options import Yes
from skerry.cli.output.access_tables import AccessTables
from skerry.cli.run import Run, resource_id

totp = group("Your own second factor: enroll, confirm, recovery codes, disable.")
app = group("Users: create, list, disable, enable, reset the password, delete.")

Name = Annotated[str, typer.Argument(metavar="USER")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


def read_password(run: Run, *, from_stdin: bool, confirm: bool = True) -> str:
    """From standard input or asked for; never from the command line, which others can see. Raises UsageError."""
    if from_stdin:
        return sys.stdin.readline(4096).rstrip("\n")
    if not run.around.stdin_is_terminal:
        raise UsageError("no password: give --password-stdin")
    password: str = typer.prompt("Password", hide_input=True, err=True, confirmation_prompt=confirm)
    return password


def full(name: str) -> str:
    """`anne` or `users/anne` as the latter."""
    return name if name.startswith("users/") else f"users/{name}"


@command(app, "list", scoped=False, examples="skerry user list")
async def list_users(run: Run) -> None:
    """List the users."""
    async with run.client() as client:
        await run.out.many(
            client.users.list(), AccessTables(run.around.now()).users, empty="No users"
        )


@command(
    app,
    "create",
    scoped=False,
    examples="skerry user create anne --email anne@example.org\nskerry user create bob --no-password",
)
async def create_user(
    run: Run,
    name: Name,
    display_name: Annotated[str, typer.Option("--display-name", help="For people.")] = "",
    email: Annotated[str, typer.Option("--email", help="The mail address.")] = "",
    password_stdin: PasswordStdin = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Without a password for now.")
    ] = False,
) -> None:
    """Make a user, who has no role yet."""
    user_id = resource_id(name, "a user", 40)
    password = "" if no_password else read_password(run, from_stdin=password_stdin)
    async with run.client() as client:
        await client.users.create(
            user_id, display_name=display_name, email=email, password=password
        )
    run.out.say(f"User {name} is made. Next: skerry member add users/{name} --role developer")


@command(app, "disable", scoped=False, examples="skerry user disable anne")
async def disable_user(run: Run, name: Name) -> None:
    """Keep a user out, at once."""
    async with run.client() as client:
        await client.users.set_disabled(full(name), True)
    run.out.say(f"User {name} is kept out; open streams have ended")


@command(app, "enable", scoped=False, examples="skerry user enable anne")
async def enable_user(run: Run, name: Name) -> None:
    """Let a user in again."""
    async with run.client() as client:
        await client.users.set_disabled(full(name), False)
    run.out.say(f"User {name} may log in again")


@command(app, "reset-password", scoped=False, examples="skerry user reset-password anne")
async def reset_password(run: Run, name: Name, password_stdin: PasswordStdin = False) -> None:
    """Give a user a new password, and end their sessions."""
    password = read_password(run, from_stdin=password_stdin)
    async with run.client() as client:
        await client.users.reset_password(full(name), password)
    run.out.say(f"User {name} has a new password")


@command(app, "reset-totp", scoped=False, examples="skerry user reset-totp anne --yes")
async def reset_totp(run: Run, name: Name, yes: Yes = False) -> None:
    """Take the second factor from a user who lost it, and end their sessions."""
    run.confirm(f"Take the second factor from {name}?", yes=yes)
    async with run.client() as client:
        await client.users.reset_totp(full(name))
    run.out.say(f"User {name} logs in with the password alone")


Issuer = Annotated[
    str, typer.Option("--issuer", metavar="URL", help="The identity provider, as it calls itself.")
]
Subject = Annotated[
    str, typer.Option("--subject", metavar="SUBJECT", help="What it calls the person (`sub`).")
]


@command(
    app,
    "link",
    scoped=False,
    examples="skerry user link anne --issuer https://login.example.org --subject 8f2c",
)
async def link_identity(run: Run, name: Name, issuer: Issuer, subject: Subject) -> None:
    """Let an identity at the identity provider log in as this user."""
    async with run.client() as client:
        await client.users.link_identity(full(name), issuer, subject)
    run.out.say(f"{subject} of {issuer} logs in as {name}")


@command(
    app,
    "unlink",
    scoped=False,
    examples="skerry user unlink anne --issuer https://login.example.org --subject 8f2c",
)
async def unlink_identity(run: Run, name: Name, issuer: Issuer, subject: Subject) -> None:
    """End that, and the user's sessions."""
    async with run.client() as client:
        await client.users.unlink_identity(full(name), issuer, subject)
    run.out.say(f"{subject} of {issuer} no longer logs in as {name}")


@command(app, "identities", scoped=False, examples="skerry user identities anne")
async def list_identities(run: Run, name: Name) -> None:
    """List the identities that log in as a user."""
    async with run.client() as client:
        await run.out.many(
            client.users.list_identities(full(name)),
            AccessTables(run.around.now()).identities,
            empty=f"{name} does not log in by single sign-on",
        )


@command(app, "delete", scoped=False, examples="skerry user delete anne --yes")
async def delete_user(run: Run, name: Name, yes: Yes = False) -> None:
    """Delete a user with roles, sessions and tokens."""
    run.confirm(f"Delete user {name}?", yes=yes)
    async with run.client() as client:
        await client.users.delete(full(name))
    run.out.say(f"User {name} is deleted")


Code = Annotated[str, typer.Argument(metavar="CODE", help="What the app shows.")]


@command(totp, "enroll", scoped=False, examples="skerry user totp enroll")
async def enroll(run: Run, password_stdin: PasswordStdin = False) -> None:
    """Make a key for your authenticator app. It counts once it is confirmed."""
    password = read_password(run, from_stdin=password_stdin, confirm=False)
    async with run.client() as client:
        made = await client.sessions.enroll_totp(password)
    run.out.line(made.key)
    run.out.line(made.uri)
    run.out.say("Put the key into your app. Next: skerry user totp confirm CODE")


@command(totp, "confirm", scoped=False, examples="skerry user totp confirm 123456")
async def confirm_totp(run: Run, code: Code) -> None:
    """Show that the app works: its code is asked for at logins from now on. Prints recovery codes, once."""
    async with run.client() as client:
        codes = await client.sessions.confirm_totp(code)
    show_codes(run, codes)


@command(totp, "recovery-codes", scoped=False, examples="skerry user totp recovery-codes 123456")
async def recovery_codes(run: Run, code: Code) -> None:
    """Make new recovery codes; those before are worthless."""
    async with run.client() as client:
        codes = await client.sessions.create_recovery_codes(code)
    show_codes(run, codes)


@command(totp, "disable", scoped=False, examples="skerry user totp disable 123456")
async def disable_totp(
    run: Run,
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="What the app shows, or a recovery code.")
    ],
) -> None:
    """Log in with the password alone again."""
    async with run.client() as client:
        await client.sessions.disable_totp(code)
    run.out.say("Your second factor is gone")


def show_codes(run: Run, codes: list[str]) -> None:
    for code in codes:
        run.out.line(code)
    run.out.say("Each is good for one login without the app. Keep them: they are not shown again")


app.add_typer(totp, name="totp")
