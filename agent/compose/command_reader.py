"""Commands and lifecycle hooks of a service → model. Called by `service_reader`."""

from __future__ import annotations

from agent.compose.fields import Fields
from agent.compose.model import Hook
from agent.compose.nodes import SequenceNode
from agent.compose.words import shell_operators, split_words


def read_command(fields: Fields, key: str) -> tuple[str, ...] | None:
    """Arguments of command or entrypoint; None if the key is absent, empty if it was cleared."""
    if isinstance(fields.node.get(key), SequenceNode):
        return tuple(item.text for item in fields.texts(key))
    value = fields.scalar(key)
    if value is None:
        return None
    try:
        words = split_words(value.text)
    except ValueError as error:
        fields.error(
            "CMP221",
            key,
            f"the command cannot be split into words: {str(error).lower()}",
            "Write it as a list.",
        )
        return None
    operators = shell_operators(value.text)
    is_shell = len(words) > 1 and words[0].rsplit("/", 1)[-1] in ("sh", "bash", "ash")
    if operators and not is_shell:
        fields.warning(
            "CMP220",
            key,
            f'"{operators[0]}" is not run by a shell, it is a plain argument',
            f"Write {key}: [sh, -c, \"…\"].",
        )  # fmt: skip
    return words


def read_hooks(fields: Fields, key: str) -> list[Hook]:
    """The hooks below a key, in order; those that would reach the host are reported."""
    hooks: list[Hook] = []
    own_container = key == "pre_start"
    for item in fields.items(key):
        if item.flag("privileged"):
            item.error(
                "CMP311", "privileged", "privileged containers are not allowed for tenants",
                "Remove the line.",
            )  # fmt: skip
        if item.has("user") and not own_container and item.text("user") != fields.text("user"):
            item.warning("CMP161", "user", "the hook runs as the container's user")
        command = read_command(item, "command") or ()
        if not command and not (own_container and item.text("image")):
            item.report.error(
                "CMP161", item.node.origin, item.path, "the hook has no command", "Add command:."
            )
            continue
        hooks.append(
            Hook(
                command=command,
                origin=item.node.origin,
                path=item.path,
                fields=item,
                environment={
                    name: node.text
                    for name, node, _ in item.pairs("environment")
                    if not node.is_null
                },
                working_dir=item.text("working_dir"),
                image=item.text("image").strip(),
                user=item.text("user"),
            )
        )
    return hooks
