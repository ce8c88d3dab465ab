"""Environment, configs and secrets: the Secrets and ConfigMaps of a plan.

The whole environment of a service is one Secret read with envFrom: its values are never expanded by
Kubernetes and do not show in the workload. A checksum on the pod template rolls the pods when
content changes.
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Mapping
from dataclasses import replace

from agent.compose import dotenv
from agent.compose.context import Context
from agent.compose.diagnostics import Report
from agent.compose.interpolate import Lookup
from agent.compose.model import ConfigFile, EnvFile, Project, Service
from agent.compose.nodes import Budget
from agent.compose.paths import ProjectFiles
from agent.compose.yaml_nodes import shorten

_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}", re.ASCII)
_BASE_FOR_ALL_SERVICES = 8


def read_environments(
    services: Mapping[str, Service],
    context: Context,
    files: ProjectFiles,
    report: Report,
    budget: Budget,
) -> dict[str, dict[str, str]]:
    """The variables of every service: env files in order, then `environment`, which wins.

    `context.variables` must be the interpolation environment.
    """
    environments: dict[str, dict[str, str]] = {}
    room = context.limits.config_bytes * _BASE_FOR_ALL_SERVICES
    for name, service in services.items():
        environment = _read_environment(service, context, files, report, budget)
        size = sum(len(key) + len(value.encode()) for key, value in environment.items())
        room -= size
        if size > context.limits.config_bytes or room < 0:
            service.fields.error(
                "CMP214",
                "environment" if service.environment else "env_file",
                f"the environment has {size} bytes, more than Kubernetes takes",
                "Move large values into files mounted with configs.",
            )
            environment = {}
        environments[name] = environment
    return environments


def check_contents(project: Project, context: Context) -> None:
    """Report configs and secrets that are too large for Kubernetes."""
    for file in (*project.configs.values(), *project.secrets.values()):
        if file.content is not None and len(file.content) > context.limits.config_bytes:
            file.fields.report.error(
                "CMP214",
                file.fields.node.origin,
                file.fields.path,
                f"the content has {len(file.content)} bytes, "
                f"Kubernetes takes {context.limits.config_bytes}",
                "Put large files into the image or a volume.",
            )


def config_data(content: bytes, key: str = "content") -> dict[str, dict[str, str]]:
    """`data` or `binaryData` of a ConfigMap."""
    try:
        value = content.decode("utf-8")
    except UnicodeDecodeError:
        return {"binaryData": {key: encode(content)}}
    if "\x00" in value:
        return {"binaryData": {key: encode(content)}}
    return {"data": {key: value}}


def encode(content: bytes) -> str:
    """Base64 as Kubernetes wants it in `data` of a Secret and `binaryData` of a ConfigMap."""
    return base64.b64encode(content).decode("ascii")


def content_of(file: ConfigFile) -> bytes:
    return file.content or b""


def _read_environment(
    service: Service, context: Context, files: ProjectFiles, report: Report, budget: Budget
) -> dict[str, str]:
    found: dict[str, str] = {}
    own = {name: v.value for name, v in service.environment.items() if v.value is not None}

    def lookup(name: str) -> str | None:
        """What an env file may refer to: the project's variables, then the service's own."""
        value = context.variables.get(name)
        return own.get(name) if value is None else value

    for file in service.env_files:
        found.update(_read_env_file(file, context, files, lookup, report, budget))
    for name, variable in service.environment.items():
        value = variable.value
        if value is None:
            value = context.variables.get(name)
        if value is None:
            report.info(
                "CMP123",
                variable.origin,
                variable.path,
                "the variable has no value and is not set",
                f"Set {shorten(name)} in the project's variables if the service needs it.",
            )
            found.pop(name, None)
            continue
        if _SECRET_KEY.fullmatch(name) is None or name.startswith("..") or name == ".":
            report.error(
                "CMP215",
                variable.origin,
                variable.path,
                f'"{shorten(name)}" cannot be the name of a variable',
                "Use letters, digits, dots, - and _.",
            )
        elif "\x00" in value:
            report.error("CMP215", variable.origin, variable.path, "the value has a NUL character")
        else:
            found[name] = value
    return found


def _read_env_file(
    file: EnvFile,
    context: Context,
    files: ProjectFiles,
    lookup: Lookup,
    report: Report,
    budget: Budget,
) -> dict[str, str]:
    path = posixpath.normpath(file.name)
    content = files.get(path)
    if content is None:
        if file.required:
            report.error(
                "CMP210",
                file.origin,
                file.path,
                f'"{shorten(file.name)}" is not in the bundle',
                "Add the file, or write required: false.",
            )
        return {}
    if len(content) > context.limits.file_bytes:
        report.error("CMP012", file.origin, file.path, "the env file is too large")
        return {}
    values = dotenv.parse(path, content, lookup, report, budget, raw=file.raw)
    found: dict[str, str] = {}
    for name, entry in values.items():
        value = context.variables.get(name) if entry.value is None else entry.value
        if value is None:
            continue
        if _SECRET_KEY.fullmatch(name) is None or "\x00" in value:
            origin = replace(entry.origin, via=(f"env_file at {file.origin}",))
            report.error("CMP215", origin, file.path, f'"{shorten(name)}" cannot be set')
            continue
        found[name] = value
    return found
