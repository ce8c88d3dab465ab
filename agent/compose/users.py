"""Users and groups of a service as numbers: names are known for a few images only."""

from __future__ import annotations

import re

from agent.compose import images
from agent.compose.fields import Fields
from agent.compose.model import Service
from agent.compose.yaml_nodes import shorten

_NUMBER = re.compile(r"\d{1,10}", re.ASCII)
_LARGEST_ID = (1 << 31) - 1


def user_and_group(service: Service) -> tuple[int | None, int | None]:
    """Numbers of `user: USER[:GROUP]`; None where nothing is said. Unknown names are errors."""
    return read_user(service.fields, service.fields.text("user"), service.image)


def read_user(fields: Fields, text: str, image: str) -> tuple[int | None, int | None]:
    """Numbers of the text of a `user` key of `fields`, for a container of the image."""
    wanted = text.strip()
    if not wanted:
        return None, None
    name, _, group = wanted.partition(":")
    user = _id(name, image)
    number = _id(group, image)
    if user is None or (group and number is None):
        fields.error(
            "CMP361",
            "user",
            f'the number of the user "{shorten(wanted)}" is not known here',
            "Write the number, as 1000:1000.",
        )
        return None, None
    return user, number


def extra_groups(service: Service) -> list[int]:
    """Numbers of `group_add`; unknown names are left out with a warning."""
    found: list[int] = []
    for node in service.fields.texts("group_add"):
        number = _id(node.text, "")
        if number is not None:
            found.append(number)
        else:
            service.fields.warning(
                "CMP362",
                "group_add",
                f'the number of the group "{shorten(node.text)}" is not known here',
                "Write the number.",
            )
    return found


def _id(name: str, image: str) -> int | None:
    """The number of a user or group; None if it is neither a valid number nor a known name."""
    if _NUMBER.fullmatch(name):
        return int(name) if int(name) <= _LARGEST_ID else None
    return images.user_id(name, image)
