"""`skerry whoami`: who you are for the server, and what you may do where."""

from __future__ import annotations

from skerry.cli.command import command, single
from skerry.cli.output.access_tables import permission_word
from skerry.cli.output.writer import Format
from skerry.cli.run import Run

app = single()


@command(app, "whoami", scoped=False, examples="skerry whoami\nskerry whoami -o json")
async def whoami(run: Run) -> None:
    """Say who you are for the server, and what you may do where."""
    async with run.client() as client:
        me = await client.sessions.who_am_i()
    if run.out.form is not Format.TABLE:
        run.out.structured(me)
        return
    run.out.line(f"{me.principal} ({me.display_name}), with {me.token.name}")
    for grant in me.grants:
        allowed = ", ".join(permission_word(item) for item in grant.permissions)
        run.out.line(f"  {grant.resource or 'platform'}: {allowed}")
