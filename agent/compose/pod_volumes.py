"""The volumes of one pod while they are collected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

DATA_FOLDER = "data"
"""Folder of a claim that services see; beside it lies what they do not."""


@dataclass(slots=True)
class PodVolumes:
    """What the mounts of one service need in its pod."""

    volumes: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)
    seeds: list[Seed] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    """What the rollout checksum covers."""


def merge_volumes(parts: Sequence[PodVolumes]) -> PodVolumes:
    """The volumes of all containers of a pod, each once; mounts stay with their containers."""
    volumes = {volume["name"]: volume for part in parts for volume in part.volumes}
    return PodVolumes(
        volumes=list(volumes.values()),
        claims=list(dict.fromkeys(claim for part in parts for claim in part.claims)),
        seeds=list(dict.fromkeys(seed for part in parts for seed in part.seeds)),
    )


@dataclass(frozen=True, slots=True)
class Seed:
    """Files of the bundle to be copied into a claim before the container starts."""

    claim_volume: str
    files_volume: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Files of the service's image to be copied into an empty volume before the container starts."""

    claim_volume: str
    folder: str
    """The folder of the volume that the service sees; empty for the whole."""
    target: str
    """Where the service sees it, and the image has its files."""
