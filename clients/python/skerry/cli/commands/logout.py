"""`skerry logout`: forget the token of a context, and keep the rest."""

from __future__ import annotations

from dataclasses import replace

from skerry.cli.command import command, single
from skerry.cli.exit_codes import UsageError
from skerry.cli.run import Run

app = single()


@command(app, "logout", scoped=False, examples="skerry logout\nskerry logout --context home")
async def logout(run: Run) -> None:
    """Forget the token of a context.

    The token stays valid on the server; the server's address and certificate stay remembered.
    """
    name = run.settings.context.value
    config = run.store.load()
    if name not in config.contexts:
        raise UsageError("there is no context to log out of")
    context = replace(config.contexts[name], token="")
    run.store.save(replace(config, contexts={**config.contexts, name: context}))
    run.out.say(
        f"The token of context {name} is forgotten here; it stays valid on {context.server}"
    )
