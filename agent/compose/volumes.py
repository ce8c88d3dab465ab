"""Volumes: named, anonymous, bind, image and tmpfs mounts of the services → claims and pod volumes.

A claim's data lives in the folder `data` of the volume, so that databases that want an empty folder
start on any file system. Relative binds come from the bundle: files as ConfigMaps or Secrets,
writable folders as a claim seeded from the bundle, unknown paths as a claim shared by all who name
the path.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent.compose.bundle_files import BundleFiles
from agent.compose.context import Context
from agent.compose.copying import is_filled
from agent.compose.diagnostics import Report
from agent.compose.image_volumes import add_image_volume
from agent.compose.metadata import PREFIX, Metadata, volume_name
from agent.compose.model import Mount, Project, Service
from agent.compose.names import checksum, dns_label, service_label, unique_label
from agent.compose.paths import ProjectFiles
from agent.compose.pod_volumes import DATA_FOLDER, Copy, PodVolumes, Seed
from agent.compose.result import Manifest, VolumeFacts
from agent.compose.sizes import parse_size, quantity
from agent.compose.yaml_nodes import shorten

_CLOCK_FILES = frozenset({"/etc/localtime", "/etc/timezone"})
_DOCKER_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_FILE_NAME = re.compile(r"[^/]\.[A-Za-z][A-Za-z0-9]{0,7}$")


@dataclass(slots=True)
class Claim:
    name: str
    original: str
    size: str
    storage_class: str | None
    external: bool
    services: dict[str, None] = field(default_factory=dict)


class Volumes:
    """Collects the claims and file objects of an app while its services are converted."""

    def __init__(
        self,
        project: Project,
        context: Context,
        files: ProjectFiles,
        metadata: Metadata,
        report: Report,
    ) -> None:
        self._project = project
        self._files = files
        self._context = context
        self._metadata = metadata
        self._report = report
        self._mounts: dict[str, list[Mount]] = {}
        self._taken_over = 0
        self._writers: dict[str, set[str]] | None = None
        self._claims: dict[str, Claim] = {}
        self._files_of_bundle = BundleFiles(context, metadata, report)

    def pod_volumes(self, service: Service, name: str) -> PodVolumes:
        """Volumes and mounts of one service; `name` is its DNS name. Problems are reported."""
        pod = PodVolumes()
        for mount in self._all_mounts(service):
            self._add(pod, mount, service, name)
        for index, node in enumerate(service.fields.texts("tmpfs")):
            self._tmpfs(pod, node.text, f"tmpfs-{index}", service)
        size = service.fields.size("shm_size")
        if size:
            self._memory(pod, "shm", "/dev/shm", size)  # noqa: S108 - the container's, not ours  # nosec B108
        return pod

    def claims(self) -> list[Manifest]:
        """The PersistentVolumeClaims to apply; external ones exist already."""
        return [
            self._claim_manifest(claim) for claim in self._claims.values() if not claim.external
        ]

    def objects(self) -> list[Manifest]:
        """ConfigMaps and Secrets made of the bundle's files."""
        return self._files_of_bundle.objects()

    def facts(self) -> tuple[VolumeFacts, ...]:
        return tuple(
            VolumeFacts(c.name, c.original, c.size, tuple(c.services), c.external)
            for c in self._claims.values()
        )

    def groups(self, pods: Mapping[str, str]) -> dict[str, str]:
        """Services (DNS names) whose pods share a claim → a name for the group they form.

        `pods` names the service whose pod each one runs in.
        """
        leader: dict[str, str] = {}

        def find(name: str) -> str:
            while leader.get(name, name) != name:
                name = leader[name]
            return name

        users = [list(dict.fromkeys(pods[s] for s in c.services)) for c in self._claims.values()]
        shared = [names for names in users if len(names) > 1]
        for members in shared:
            for member in members:
                leader.setdefault(member, member)
            for member in members[1:]:
                leader[find(member)] = find(members[0])
        return {name: find(name) for name in leader}

    def _all_mounts(self, service: Service) -> list[Mount]:
        """Own mounts, and those of services named in volumes_from with all they have from others,
        own targets winning."""
        known = self._mounts.get(service.name)
        if known is not None:
            return known
        self._mounts[service.name] = []  # what a circle leads back to
        found: dict[str, Mount] = {}
        for index, node in enumerate(service.fields.texts("volumes_from")):
            name, _, mode = node.text.partition(":")
            path = f"{service.fields.at('volumes_from')}[{index}]"
            other = self._project.services.get(name)
            if name == "container" or other is None:
                code = "CMP302" if name == "container" else "CMP140"
                message = (
                    "containers outside the app are not reachable"
                    if name == "container"
                    else f'there is no service "{shorten(name)}"'
                )
                self._report.error(code, node.origin, path, message, "Name a volume instead.")
                continue
            mounts = self._all_mounts(other)
            self._taken_over += len(mounts)
            if self._taken_over > self._context.limits.nodes:
                self._report.error(
                    *("CMP014", node.origin, path, "volumes_from takes over too many mounts"),
                    "Name volumes instead.",
                )
                break
            for mount in mounts:
                found[mount.target] = replace(
                    mount,
                    origin=node.origin,
                    path=path,
                    read_only=mount.read_only or mode == "ro",
                    owner=mount.owner or name,
                )
        for mount in service.mounts:
            found[mount.target] = mount
        self._mounts[service.name] = list(found.values())
        return self._mounts[service.name]

    def _add(self, pod: PodVolumes, mount: Mount, service: Service, name: str) -> None:
        if mount.kind == "tmpfs":
            self._memory(
                pod, f"tmpfs-{checksum(mount.target.encode(), 8)}", mount.target, mount.size
            )
        elif mount.kind == "bind":
            self._bind(pod, mount, name)
        elif mount.kind == "volume":
            self._named(pod, mount, service, name)
        elif mount.kind == "image":
            add_image_volume(pod, mount, service, self._report)
        else:
            self._report.error(
                "CMP333",
                mount.origin,
                mount.path,
                f'volumes of type "{mount.kind}" are not available',
                "Use a named volume.",
            )

    def _named(self, pod: PodVolumes, mount: Mount, service: Service, name: str) -> None:
        if not mount.source:
            owner = mount.owner or service.name
            key = f"{service_label(owner)}-anon-{checksum(mount.target.encode(), 8)}"
            claim = self._claim(
                key,
                f"{owner}:{mount.target}",
                mount,
                size=service.hints.volume_size,
                storage_class=service.hints.storage_class or None,
            )
        else:
            volume = self._project.volumes.get(mount.source)
            if volume is None:
                self._report.error(
                    "CMP140",
                    mount.origin,
                    mount.path,
                    f'there is no volume "{shorten(mount.source)}"',
                    f'Write "./{shorten(mount.source)}" for a path.'
                    if "/" in mount.source
                    else f'Add "{shorten(mount.source)}:" below the top-level "volumes:".',
                )
                return
            claim = self._claim(
                volume.claim, mount.source, mount,
                size=volume.size or service.hints.volume_size,
                storage_class=volume.storage_class or service.hints.storage_class or None,
                external=volume.external,
            )  # fmt: skip
            if volume.external:
                volume.fields.warning(
                    "CMP342", "external", f'a claim "{claim.name}" must exist in the namespace'
                )
        if service.hints.volume_subpath and not mount.subpath:
            mount = replace(mount, subpath=service.hints.volume_subpath)
        filled = is_filled(mount, service)
        claim_volume = self._mount_claim(pod, claim, mount, name)
        if not filled:
            return
        if mount.read_only and self._is_written_by_another(mount, service):
            self._report.info(
                "CMP347",
                mount.origin,
                mount.path,
                f"what the image has at {shorten(mount.target)} is not copied into the volume, "
                "because another service writes it",
            )
            return
        folder = "" if claim.external else DATA_FOLDER
        pod.copies.append(Copy(claim_volume, folder, mount.target))

    def _is_written_by_another(self, mount: Mount, service: Service) -> bool:
        writers = self._writers
        if writers is None:
            writers = self._writers = {}
            for other in self._project.services.values():
                for its in other.mounts:
                    if its.kind == "volume" and its.source and not its.read_only:
                        writers.setdefault(its.source, set()).add(other.name)
        return bool(writers.get(mount.source, set()) - {service.name})

    def _claim(
        self,
        key: str,
        original: str,
        mount: Mount,
        size: str = "",
        storage_class: str | None = None,
        external: bool = False,
    ) -> Claim:
        name = dns_label(key) if external else self._metadata.name(key)
        claim = self._claims.get(name)
        if claim is None:
            claim = Claim(
                name,
                original,
                size or self._context.default_volume_size,
                storage_class or self._context.default_storage_class,
                external,
            )
            self._claims[name] = claim
        elif claim.original != original:
            self._report.error(
                "CMP130",
                mount.origin,
                mount.path,
                f'volumes "{shorten(claim.original)}" and "{shorten(original)}" '
                f'both become "{name}"',
                "Rename one of them.",
            )
        return claim

    def _mount_claim(self, pod: PodVolumes, claim: Claim, mount: Mount, name: str) -> str:
        volume = volume_name("claim", claim.name)
        claim.services[name] = None
        if claim.name not in pod.claims:
            pod.claims.append(claim.name)
            pod.volumes.append({"name": volume, "persistentVolumeClaim": {"claimName": claim.name}})
        subpath = "" if claim.external else DATA_FOLDER
        if mount.subpath:
            inner = posixpath.normpath(mount.subpath)
            if inner.startswith(("/", "..")):
                self._report.error(
                    "CMP340", mount.origin, mount.path, "the subpath leaves the volume"
                )
                return volume
            subpath = posixpath.join(subpath, inner)
        entry = {"name": volume, "mountPath": mount.target}
        if subpath:
            entry["subPath"] = subpath
        pod.mounts.append(_read_only(entry, mount.read_only))
        return volume

    def _bind(self, pod: PodVolumes, mount: Mount, name: str) -> None:
        source = mount.source
        if source in _CLOCK_FILES and mount.read_only:
            self._report.info(
                "CMP334",
                mount.origin,
                mount.path,
                f"{source} of the node is not mounted",
                "Set the variable TZ to choose a time zone.",
            )
            return
        if source in _DOCKER_SOCKETS:
            self._report.error(
                "CMP330",
                mount.origin,
                mount.path,
                f'"{source}" is a host path; the Docker API is not available here',
                "Remove the mount.",
            )
            return
        path = posixpath.normpath(source.replace("\\", "/")) if source else ""
        if self._files.resolve(path) is None:
            self._report.error(
                "CMP330",
                mount.origin,
                mount.path,
                f'"{shorten(source)}" is a host path, which tenants do not have',
                "Use a named volume, or a path below the compose file.",
            )
            return
        content = self._files.get(path)
        if content is not None:
            if not mount.read_only:
                self._report.info(
                    "CMP337",
                    mount.origin,
                    mount.path,
                    f'the file "{shorten(path)}" cannot be written by the service',
                    "Mount its folder if the service changes it.",
                )
            self._file(pod, mount, path, content)
            return
        folder = self._files.below(path)
        if folder:
            self._bundle_folder(pod, mount, path, folder, name)
            return
        if _FILE_NAME.search(path) and _FILE_NAME.search(mount.target):
            self._report.warning(
                "CMP335",
                mount.origin,
                mount.path,
                f'"{shorten(path)}" is not in the bundle and becomes an empty folder',
                "Add the file to the bundle, or write it with configs: and content:.",
            )
        else:
            self._report.info(
                "CMP336",
                mount.origin,
                mount.path,
                f'"{shorten(path)}" is not in the bundle and becomes a volume of its own',
            )
        self._mount_claim(pod, self._claim(f"path-{unique_label(path)}", path, mount), mount, name)

    def _file(self, pod: PodVolumes, mount: Mount, path: str, content: bytes) -> None:
        volume = self._files_of_bundle.volume(
            pod, mount, f"file-{path}", {posixpath.basename(path): content}
        )
        if volume:
            entry = {
                "name": volume,
                "mountPath": mount.target,
                "subPath": posixpath.basename(path),
                "readOnly": True,
            }
            pod.mounts.append(entry)

    def _bundle_folder(
        self, pod: PodVolumes, mount: Mount, path: str, files: dict[str, bytes], name: str
    ) -> None:
        volume = self._files_of_bundle.volume(pod, mount, f"folder-{path}", files)
        if not volume:
            return
        if mount.read_only:
            pod.mounts.append({"name": volume, "mountPath": mount.target, "readOnly": True})
            return
        claim_volume = self._mount_claim(
            pod, self._claim(f"path-{unique_label(path)}", path, mount), mount, name
        )
        joined = b"\x00".join(key.encode() + b"\x00" + value for key, value in files.items())
        pod.seeds.append(Seed(claim_volume, volume, checksum(joined)))

    def _tmpfs(self, pod: PodVolumes, value: str, name: str, service: Service) -> None:
        target, _, options = value.partition(":")
        size: int | None = None
        for option in filter(None, options.split(",")):
            key, _, number = option.partition("=")
            if key == "size":
                try:
                    size = parse_size(number)
                except ValueError as error:
                    service.fields.error("CMP004", "tmpfs", str(error))
            else:
                service.fields.info(
                    "CMP415", "tmpfs", f'"{shorten(option)}" is not applied to memory volumes'
                )
        if not target.startswith("/"):
            service.fields.error("CMP340", "tmpfs", f'"{shorten(target)}" is not an absolute path')
            return
        self._memory(pod, name, posixpath.normpath(target), size)

    def _memory(self, pod: PodVolumes, name: str, target: str, size: int | None) -> None:
        if any(mount["mountPath"] == target for mount in pod.mounts):
            return
        empty: dict[str, Any] = {"medium": "Memory"}
        if size:
            empty["sizeLimit"] = quantity(size)
        pod.volumes.append({"name": name, "emptyDir": empty})
        pod.mounts.append({"name": name, "mountPath": target})

    def _claim_manifest(self, claim: Claim) -> Manifest:
        spec: dict[str, Any] = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": claim.size}},
        }
        if claim.storage_class:
            spec["storageClassName"] = claim.storage_class
        annotations = {f"{PREFIX}/compose-name": claim.original}
        return self._metadata.manifest(
            "v1",
            "PersistentVolumeClaim",
            claim.name,
            annotations=annotations,
            body={"spec": spec},
        )


def _read_only(entry: dict[str, Any], read_only: bool) -> dict[str, Any]:
    return {**entry, "readOnly": True} if read_only else entry
