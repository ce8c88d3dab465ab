"""What the converter is given: the files as bytes and everything else a plan may depend on.

Nothing else reaches the converter: no clock, no environment, no disk. The same `SourceFile`s and
`Context` therefore always give the same plan, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_WAIT_IMAGE = "busybox:1.37"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One compose file as it was written. `path` is relative to the bundle and is what
    diagnostics show."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that keep any input cheap. Crossing one is an error diagnostic, never an exception."""

    file_bytes: int = 1 << 20
    """Largest compose or env file, in bytes."""
    nodes: int = 100_000
    """Most YAML nodes over all files, aliases counted as often as they are used (compose-go uses
    the same number)."""
    depth: int = 64
    """Deepest nesting of mappings and sequences."""
    text_bytes: int = 8 << 20
    """Most text all interpolated values may have together."""
    services: int = 200
    ports: int = 100
    """Most ports of one service, ranges counted out."""
    replicas: int = 100
    config_bytes: int = 1 << 20
    """Most content of one Secret or ConfigMap (the Kubernetes limit)."""
    diagnostics: int = 500
    """Errors kept, and as many other diagnostics; the rest is counted in one last line."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where the app goes and what its files may refer to."""

    app: str
    """Id of the app: an RFC 1123 label of at most 40 characters (object names are made from it)."""
    namespace: str
    project: str = ""
    """Id of the project, for labels."""
    environment: str = ""
    """Id of the environment, for labels."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The project's variables: they fill ${…} and win over the bundle's `.env`."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The bundle: normalised relative path → content (`.env`, env files, configs, bind-mounted
    files)."""
    env_files: tuple[str, ...] = (".env",)
    """Names in `files` of the env files that fill ${…}, later ones winning; absent ones are
    fine."""
    revision: str = ""
    """Label `skerry.dev/revision` on the objects, not on the pod template: a new revision alone
    is no rollout."""
    profiles: tuple[str, ...] = ()
    """Active compose profiles; COMPOSE_PROFILES of `variables` or `.env` is used when this is
    empty."""
    default_volume_size: str = "1Gi"
    default_storage_class: str | None = None
    wait_image: str = DEFAULT_WAIT_IMAGE
    """Image of the containers that wait for dependencies and seed volumes. It must have busybox's
    `sh`, `cat`, `chmod`, `cp`, `head`, `mkdir`, `nc` (with `-w` and `-e`), `nslookup`, `rm`, `sed`,
    `sleep`, `touch` and `tr`."""
    network_isolation: bool = False
    """Whether the namespace's policies leave pods labelled `skerry.dev/isolated` to the plan's own
    policies, and keep pods labelled `skerry.dev/internal` from the internet."""
    data_services: frozenset[str] = frozenset()
    """Shared services the cluster has (`postgres`, `s3`): a file may use one instead of its own."""
    limits: Limits = field(default_factory=Limits)
