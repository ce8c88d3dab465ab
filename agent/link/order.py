"""Which commands wait for which, and which make others pointless. Pure; used by `commands`."""

from __future__ import annotations

from skerry.agent.v1 import command_pb2


def waits_for(later: command_pb2.Command, earlier: command_pb2.Command) -> bool:
    """Whether two commands concern the same thing: the app, or the environment it lives in.

    Making the environment sure does not wait for the deploys in it, which take long and harm nothing.
    """
    if _app(later) and _app(later) == _app(earlier):
        return True
    if _environment(later) and _environment(later) == _environment(earlier):
        kinds = (later.WhichOneof("kind"), earlier.WhichOneof("kind"))
        return "delete_environment" in kinds or kinds[1] == "ensure_environment"
    return (
        later.WhichOneof("kind") == earlier.WhichOneof("kind") == "retry_add_on"
        and later.retry_add_on.add_on == earlier.retry_add_on.add_on
    )


def supersedes(newer: command_pb2.Command, older: command_pb2.Command) -> bool:
    """Whether finishing the older command would be in vain: the newer one decides what is so."""
    if older.WhichOneof("kind") != "deploy_app":
        return False
    match newer.WhichOneof("kind"):
        case "deploy_app" | "delete_app":
            return _app(newer) == _app(older)
        case "delete_environment":
            return _environment(newer) == _environment(older)
        case _:
            return False


def _environment(command: command_pb2.Command) -> str:
    match command.WhichOneof("kind"):
        case "ensure_environment":
            return command.ensure_environment.environment.uid
        case "delete_environment":
            return command.delete_environment.environment.uid
        case "deploy_app":
            return command.deploy_app.environment.uid
        case "delete_app":
            return command.delete_app.environment.uid
        case _:
            return ""


def _app(command: command_pb2.Command) -> str:
    match command.WhichOneof("kind"):
        case "deploy_app":
            return command.deploy_app.app_uid
        case "delete_app":
            return command.delete_app.app_uid
        case _:
            return ""
