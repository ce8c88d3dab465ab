"""Resource names (AIP-122): parsed once at the border, typed inside, formatted by `str()`.

`parse` raises InvalidField that names the request's field and the shape expected. With `wildcard=True` a segment may be `-`,
meaning any; only parents of lists and watches allow that.
"""

import re
from dataclasses import dataclass
from typing import Self

from controlplane.domain.errors import InvalidField
from controlplane.domain.ids import is_ulid

ANY = "-"
_SEGMENT = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def _parse(text: str, pattern: tuple[str, ...], field: str, *, wildcard: bool) -> list[str]:
    """The variable segments of a name; pattern items in braces are variables."""
    shape = "/".join(pattern)
    if not text:
        raise InvalidField.of(field, f"is required, in the shape {shape}")
    if len(text) > 512:
        raise InvalidField.of(field, f"is too long for a name in the shape {shape}")
    parts = text.split("/")
    if len(parts) != len(pattern):
        raise InvalidField.of(field, f"{text!r} is not a name in the shape {shape}")
    values = []
    for part, wanted in zip(parts, pattern, strict=True):
        if not wanted.startswith("{"):
            if part != wanted:
                raise InvalidField.of(field, f"{text!r} is not a name in the shape {shape}")
            continue
        if not (_segment_ok(part, wanted) or (wildcard and part == ANY)):
            raise InvalidField.of(
                field, f"{text!r} is not a name in the shape {shape}: {wanted} cannot be {part!r}"
            )
        values.append(part)
    return values


def _segment_ok(part: str, wanted: str) -> bool:
    if wanted in ("{deployment}", "{operation}", "{terminal}", "{link}", "{join_token}"):
        return is_ulid(part)
    if wanted == "{revision}":
        return part.isascii() and part.isdigit() and part[0] != "0" and len(part) < 16
    return _SEGMENT.fullmatch(part) is not None


@dataclass(frozen=True, slots=True, order=True)
class OrganizationName:
    """`organizations/{organization}`."""

    organization: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        return cls(*_parse(text, ("organizations", "{organization}"), field, wildcard=False))

    def __str__(self) -> str:
        return f"organizations/{self.organization}"


@dataclass(frozen=True, slots=True, order=True)
class ProjectName:
    """`organizations/{organization}/projects/{project}`."""

    organization: str
    project: str

    @classmethod
    def parse(cls, text: str, field: str = "name", *, wildcard: bool = False) -> Self:
        pattern = ("organizations", "{organization}", "projects", "{project}")
        return cls(*_parse(text, pattern, field, wildcard=wildcard))

    def __str__(self) -> str:
        return f"organizations/{self.organization}/projects/{self.project}"


@dataclass(frozen=True, slots=True, order=True)
class EnvironmentName:
    """`organizations/{organization}/projects/{project}/environments/{environment}`."""

    organization: str
    project: str
    environment: str

    @classmethod
    def parse(cls, text: str, field: str = "name", *, wildcard: bool = False) -> Self:
        pattern = (
            *("organizations", "{organization}", "projects", "{project}"),
            *("environments", "{environment}"),
        )
        return cls(*_parse(text, pattern, field, wildcard=wildcard))

    @property
    def parent(self) -> ProjectName:
        return ProjectName(self.organization, self.project)

    def __str__(self) -> str:
        return f"{self.parent}/environments/{self.environment}"


@dataclass(frozen=True, slots=True, order=True)
class EnvironmentLinkName:
    """`…/environments/{environment}/links/{ulid}`."""

    parent: EnvironmentName
    link: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        pattern = (
            *("organizations", "{organization}", "projects", "{project}"),
            *("environments", "{environment}", "links", "{link}"),
        )
        *environment, link = _parse(text, pattern, field, wildcard=False)
        return cls(EnvironmentName(*environment), link)

    def __str__(self) -> str:
        return f"{self.parent}/links/{self.link}"


@dataclass(frozen=True, slots=True, order=True)
class AppName:
    """`organizations/…/projects/…/environments/…/apps/{app}`."""

    organization: str
    project: str
    environment: str
    app: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        pattern = (
            *("organizations", "{organization}", "projects", "{project}"),
            *("environments", "{environment}", "apps", "{app}"),
        )
        return cls(*_parse(text, pattern, field, wildcard=False))

    @property
    def parent(self) -> EnvironmentName:
        return EnvironmentName(self.organization, self.project, self.environment)

    def __str__(self) -> str:
        return f"{self.parent}/apps/{self.app}"


@dataclass(frozen=True, slots=True, order=True)
class RevisionName:
    """`…/apps/{app}/revisions/{number}`."""

    parent: AppName
    revision: int

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        pattern = (
            *("organizations", "{organization}", "projects", "{project}"),
            *("environments", "{environment}", "apps", "{app}", "revisions", "{revision}"),
        )
        *app, revision = _parse(text, pattern, field, wildcard=False)
        return cls(AppName(*app), int(revision))

    def __str__(self) -> str:
        return f"{self.parent}/revisions/{self.revision}"


@dataclass(frozen=True, slots=True, order=True)
class DeploymentName:
    """`…/apps/{app}/deployments/{ulid}`."""

    parent: AppName
    deployment: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        pattern = (
            *("organizations", "{organization}", "projects", "{project}"),
            *("environments", "{environment}", "apps", "{app}", "deployments", "{deployment}"),
        )
        *app, deployment = _parse(text, pattern, field, wildcard=False)
        return cls(AppName(*app), deployment)

    def __str__(self) -> str:
        return f"{self.parent}/deployments/{self.deployment}"


@dataclass(frozen=True, slots=True, order=True)
class ClusterName:
    """`clusters/{cluster}`."""

    cluster: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        return cls(*_parse(text, ("clusters", "{cluster}"), field, wildcard=False))

    def __str__(self) -> str:
        return f"clusters/{self.cluster}"


@dataclass(frozen=True, slots=True, order=True)
class JoinTokenName:
    """`clusters/{cluster}/joinTokens/{join_token}`."""

    cluster: str
    join_token: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        shape = ("clusters", "{cluster}", "joinTokens", "{join_token}")
        return cls(*_parse(text, shape, field, wildcard=False))

    def __str__(self) -> str:
        return f"clusters/{self.cluster}/joinTokens/{self.join_token}"


@dataclass(frozen=True, slots=True, order=True)
class AddOnName:
    """`clusters/{cluster}/addOns/{addon}`."""

    cluster: str
    add_on: str

    def __str__(self) -> str:
        return f"clusters/{self.cluster}/addOns/{self.add_on}"


@dataclass(frozen=True, slots=True, order=True)
class OperationName:
    """`operations/{ulid}`."""

    operation: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        return cls(*_parse(text, ("operations", "{operation}"), field, wildcard=False))

    def __str__(self) -> str:
        return f"operations/{self.operation}"


@dataclass(frozen=True, slots=True, order=True)
class TerminalName:
    """`terminals/{ulid}`."""

    terminal: str

    @classmethod
    def parse(cls, text: str, field: str = "terminal") -> Self:
        return cls(*_parse(text, ("terminals", "{terminal}"), field, wildcard=False))

    def __str__(self) -> str:
        return f"terminals/{self.terminal}"
