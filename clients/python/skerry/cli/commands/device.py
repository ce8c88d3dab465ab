"""`skerry device`: lets a program in that shows a code, such as `skerry login` on another machine."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry.cli.command import command, group
from skerry.cli.options import Yes
from skerry.cli.run import Run
from skerry.platform.v1 import device_login_pb2

app = group("Logins of programs by a code: show, approve, deny.")

Code = Annotated[str, typer.Argument(metavar="CODE", help="As the program shows it: WDJB-MJHT.")]


@command(app, "show", scoped=False, examples="skerry device show WDJB-MJHT")
async def show(run: Run, code: Code) -> None:
    """Say who waits behind a code."""
    async with run.client() as client:
        run.out.line(described(await client.device_logins.get(code)))


@command(app, "approve", scoped=False, examples="skerry device approve WDJB-MJHT")
async def approve(run: Run, code: Code, yes: Yes = False) -> None:
    """Let the program behind a code act as you. Only if you started it yourself just now."""
    async with run.client() as client:
        waiting = described(await client.device_logins.get(code))
        run.confirm(f"{waiting}. Let it act as you?", yes=yes)
        await client.device_logins.approve(code)
    run.out.say(f"Approved: {waiting}. `skerry token list` shows its session")


@command(app, "deny", scoped=False, examples="skerry device deny WDJB-MJHT")
async def deny(run: Run, code: Code) -> None:
    """Refuse the program behind a code."""
    async with run.client() as client:
        await client.device_logins.deny(code)
    run.out.say("Denied")


def described(login: device_login_pb2.DeviceLogin) -> str:
    return f"{login.client or 'a program'} at {login.address}, code {login.user_code}"
