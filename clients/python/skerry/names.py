"""Resource names (AIP-122), made and taken apart in one place. Used by the services and the CLI."""

from __future__ import annotations

import re

DEFAULT_ORGANIZATION = "default"
ANY = "-"
"""Stands for every project or environment in the parent of a list."""

_ID = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_APP = re.compile(r"organizations/[^/]+/projects/([^/]+)/environments/([^/]+)/apps/([^/]+)")


def organization(organization: str = DEFAULT_ORGANIZATION) -> str:
    return f"organizations/{organization}"


def project(project: str) -> str:
    return f"{organization()}/projects/{project}"


def environment(project_id: str, environment: str) -> str:
    return f"{project(project_id)}/environments/{environment}"


def app(project_id: str, environment_id: str, app: str) -> str:
    return f"{environment(project_id, environment_id)}/apps/{app}"


def cluster(cluster: str) -> str:
    return f"clusters/{cluster}"


def terminal(terminal: str) -> str:
    return f"terminals/{terminal}"


def operation(operation: str) -> str:
    return f"operations/{operation}"


def last(name: str) -> str:
    """The id at the end of a resource name."""
    return name.rsplit("/", 1)[-1]


def parent(name: str) -> str:
    """The resource a name lies in: its name without the last collection and id."""
    return "/".join(name.split("/")[:-2])


def split_app(name: str) -> tuple[str, str, str]:
    """(project, environment, app) of an app's or any deeper resource's name. Raises ValueError."""
    match = _APP.match(name)
    if match is None:
        raise ValueError(f"{name!r} is not the name of an app")
    return match[1], match[2], match[3]


def is_id(text: str, longest: int = 30) -> bool:
    """Whether the text can be the id of a project or an app (environments: at most 20)."""
    return len(text) <= longest and _ID.fullmatch(text) is not None
