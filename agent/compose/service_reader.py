"""The part of a document below `services` → model. One function for each kind of value.

Called by `reader`; wrong values are reported and read as absent.
"""

from __future__ import annotations

import posixpath
import re

from agent.compose.command_reader import read_command, read_hooks
from agent.compose.context import Context
from agent.compose.durations import SECOND
from agent.compose.extension_reader import read_expose, read_extension
from agent.compose.fields import Fields
from agent.compose.hints import read_hints
from agent.compose.labels import read_labels
from agent.compose.model import (
    Attachment,
    Condition,
    Dependency,
    EnvFile,
    EnvironmentValue,
    Grant,
    Healthcheck,
    Hints,
    Mount,
    Port,
    Resources,
    Restart,
    RestartPolicy,
    Service,
)
from agent.compose.names import is_label_value
from agent.compose.nodes import ScalarNode, SequenceNode
from agent.compose.origin import Origin
from agent.compose.paths import ProjectFiles
from agent.compose.ports import PortSyntaxError, check_protocol, pair
from agent.compose.sizes import parse_size
from agent.compose.yaml_nodes import shorten

_CONDITIONS = tuple(condition.value for condition in Condition)
_DEFAULT_INTERVAL = 30 * SECOND
_MODES = ("replicated", "global", "replicated-job", "global-job")
_DEFAULT_RETRIES = 3
_CPU_PERIOD = 100_000
"""Microseconds; the kernel's default."""
_MOST_SHARES = 262_144
_MOST_RETRIES = 10_000


def read_service(name: str, fields: Fields, context: Context, files: ProjectFiles) -> Service:
    """One service."""
    labels = read_labels(fields, context, files)
    hints = read_hints(labels, fields)
    deploy = fields.child("deploy")
    mode = _read_mode(deploy)
    return Service(
        name=name,
        fields=fields,
        image=fields.text("image").strip(),
        command=read_command(fields, "command"),
        entrypoint=read_command(fields, "entrypoint"),
        environment=_read_environment(fields),
        env_files=_read_env_files(fields),
        ports=_read_ports(fields, context.limits.ports),
        exposed=read_expose(fields, "expose", context.limits.ports),
        mounts=_read_mounts(fields),
        healthcheck=_read_healthcheck(fields),
        depends_on=_read_dependencies(fields),
        restart=_read_restart(fields, deploy),
        replicas=_read_replicas(fields, deploy, context.limits.replicas),
        job_mode=mode.endswith("-job"),
        resources=_read_resources(fields, deploy),
        networks=_read_attachments(fields),
        aliases=_read_aliases(fields, hints),
        configs=_read_grants(fields, "configs", "/"),
        secrets=_read_grants(fields, "secrets", "/run/secrets/"),
        joins=_read_joins(fields),
        pre_start=[*hints.init, *read_hooks(fields, "pre_start")],
        post_start=read_hooks(fields, "post_start"),
        pre_stop=read_hooks(fields, "pre_stop"),
        extension=read_extension(fields, hints, context.limits.ports),
        labels={key: label.value for key, label in labels.items()},
        hints=hints,
    )


def _read_mode(deploy: Fields | None) -> str:
    if deploy is None:
        return "replicated"
    mode = deploy.choice("mode", _MODES, "replicated")
    if mode.startswith("global"):
        deploy.warning("CMP409", "mode", "it runs once, not on every node")
    return mode


def _read_environment(fields: Fields) -> dict[str, EnvironmentValue]:
    path = fields.at("environment")
    return {
        name: EnvironmentValue(None if node.is_null else node.text, origin, f"{path}.{name}")
        for name, node, origin in fields.pairs("environment")
    }


def _read_env_files(fields: Fields) -> list[EnvFile]:
    return [
        EnvFile(
            name=item.text("path"),
            required=item.flag("required", default=True),
            raw=item.choice("format", ("", "raw"), "") == "raw",
            origin=item.origin("path"),
            path=item.path,
        )
        for item in fields.items("env_file")
    ]


def _read_ports(fields: Fields, limit: int) -> list[Port]:
    ports: list[Port] = []
    for item in fields.items("ports"):
        published = item.text("published")
        try:
            protocol = check_protocol(item.text("protocol", "tcp") or "tcp")
            pairs = pair(item.text("target"), published)
        except PortSyntaxError as error:
            item.report.error("CMP231", item.origin("target"), item.path, str(error))
            continue
        ports += [
            Port(
                target=target,
                protocol=protocol,
                origin=item.origin("target"),
                published=host_port,
                host_ip=item.text("host_ip"),
                app_protocol=_read_app_protocol(item),
                name=item.text("name"),
            )
            for target, host_port in pairs[: limit + 1]
        ]
        if len(ports) > limit:
            fields.error("CMP231", "ports", f"these are more than {limit} ports")
            break
    return ports[:limit]


def _read_app_protocol(item: Fields) -> str:
    protocol = item.text("app_protocol")
    name = protocol.rpartition("/")[2]
    if protocol and not (is_label_value(name) and name):
        item.warning(
            "CMP233", "app_protocol", f'"{shorten(protocol)}" is not an application protocol'
        )
        return ""
    return protocol


def _read_mounts(fields: Fields) -> list[Mount]:
    mounts: dict[str, Mount] = {}
    for item in fields.items("volumes"):
        target = item.text("target")
        if not target.startswith("/") or "\x00" in target:
            item.report.error(
                "CMP340", item.origin("target"), item.path,
                f'"{shorten(target)}" is not an absolute path in the container',
            )  # fmt: skip
        kind = item.choice(
            "type", ("volume", "bind", "tmpfs", "image", "npipe", "cluster"), "volume"
        )
        options = item.child(kind)
        mount = Mount(
            kind=kind,
            source=item.text("source"),
            target=posixpath.normpath(target),
            origin=item.origin("source" if item.has("source") else "target"),
            path=item.path,
            read_only=item.flag("read_only"),
            subpath=options.text("subpath") if options else "",
            no_copy=kind == "volume" and options is not None and options.flag("nocopy"),
            size=options.size("size") if options and kind == "tmpfs" else None,
        )
        if mount.target in mounts:
            item.report.warning(
                "CMP341", mount.origin, item.path,
                f"{mount.target} is mounted twice; the last mount counts",
            )  # fmt: skip
        mounts[mount.target] = mount
    return list(mounts.values())


def _read_healthcheck(fields: Fields) -> Healthcheck | None:
    check = fields.child("healthcheck")
    if check is None:
        return None
    disabled = check.flag("disable")
    command: tuple[str, ...] = ()
    test = check.node.get("test")
    if isinstance(test, ScalarNode):
        command = ("/bin/sh", "-c", test.text)
    elif isinstance(test, SequenceNode) and test.items:
        words = [item.text for item in check.texts("test")]
        form, arguments = words[0], words[1:]
        if form == "NONE":
            disabled = True
        elif form == "CMD-SHELL" and arguments:
            command = ("/bin/sh", "-c", *arguments)
        elif form == "CMD" and arguments:
            command = tuple(arguments)
        else:
            check.error(
                "CMP240",
                "test",
                f'"{shorten(form)}" cannot start a health check',
                "Start the list with CMD, CMD-SHELL or NONE, then the command.",
            )
            return None
    retries = check.whole("retries")
    if not check.node.entries:
        return None
    return Healthcheck(
        command=command,
        origin=fields.origin("healthcheck"),
        path=check.path,
        disabled=disabled,
        interval=check.duration("interval") or _DEFAULT_INTERVAL,
        timeout=check.duration("timeout") or _DEFAULT_INTERVAL,
        retries=min(retries, _MOST_RETRIES) if retries and retries > 0 else _DEFAULT_RETRIES,
        start_period=check.duration("start_period") or 0,
        start_interval=check.duration("start_interval"),
    )


def _read_dependencies(fields: Fields) -> list[Dependency]:
    found = {
        name: Dependency(
            service=name,
            condition=Condition(item.choice("condition", _CONDITIONS, Condition.STARTED.value)),
            required=item.flag("required", default=True),
            origin=item.node.origin if not item.has("condition") else item.origin("condition"),
            path=item.path,
            restart=item.flag("restart"),
        )
        for name, item in fields.children("depends_on")
    }

    def add(name: str, origin: Origin, path: str, key: str) -> None:
        if name not in found:
            found[name] = Dependency(name, Condition.STARTED, True, origin, path, key)

    for index, node in enumerate(fields.texts("links")):
        add(node.text.partition(":")[0], node.origin, f"{fields.at('links')}[{index}]", "links")
    for index, node in enumerate(fields.texts("volumes_from")):
        name, _, _ = node.text.partition(":")
        if name != "container":
            add(name, node.origin, f"{fields.at('volumes_from')}[{index}]", "volumes_from")
    for key, name in _read_joins(fields).items():
        add(name, fields.origin(key), fields.at(key), key)
    return list(found.values())


def _read_joins(fields: Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in ("network_mode", "pid", "ipc"):
        kind, _, name = fields.text(key).partition(":")
        if kind == "service":
            found[key] = name
    return found


def _read_restart(fields: Fields, deploy: Fields | None) -> Restart:
    policy = deploy.child("restart_policy") if deploy else None
    if policy is not None and policy.has("condition"):
        words = {
            **dict.fromkeys(("any", "always", "unless-stopped"), RestartPolicy.ALWAYS),
            **dict.fromkeys(("none", "no"), RestartPolicy.NO),
            "on-failure": RestartPolicy.ON_FAILURE,
        }
        condition = policy.choice("condition", tuple(words), "any")
        return Restart(
            words[condition],
            policy.whole("max_attempts"),
            policy.origin("condition"),
            policy.at("condition"),
        )
    value = fields.text("restart")
    if not value:
        return Restart()
    name, _, attempts = value.partition(":")
    name = {"none": "no", "false": "no"}.get(name, name)
    if name not in ("always", "unless-stopped", "on-failure", "no") or (
        attempts and not (name == "on-failure" and attempts.isdecimal())
    ):
        fields.error(
            "CMP004",
            "restart",
            f'"{shorten(value)}" is not a restart policy',
            "Use no, always, unless-stopped or on-failure[:N].",
        )
        return Restart()
    count = int(attempts[:6]) if attempts else None
    return Restart(RestartPolicy(name), count, fields.origin("restart"), fields.at("restart"))


def _read_replicas(fields: Fields, deploy: Fields | None, limit: int) -> int:
    scale = fields.whole("scale")
    replicas = deploy.whole("replicas") if deploy else None
    if scale is not None and replicas is not None and scale != replicas:
        fields.error(
            "CMP203", "scale", f"scale is {scale} and deploy.replicas is {replicas}", "Keep one."
        )
    count = replicas if replicas is not None else scale
    if count is None:
        return 1
    if not 0 <= count <= limit:
        place = fields if deploy is None or replicas is None else deploy
        key = "scale" if place is fields else "replicas"
        place.error("CMP203", key, f"{count} replicas are not between 0 and {limit}")
        return 1
    return count


def _read_resources(fields: Fields, deploy: Fields | None) -> Resources:
    below = deploy.child("resources") if deploy else None
    limits = below.child("limits") if below else None
    reservations = below.child("reservations") if below else None
    found = Resources(
        cpu_limit=limits.cpus("cpus") if limits else None,
        memory_limit=limits.size("memory") if limits else None,
        cpu_request=reservations.cpus("cpus") if reservations else None,
        memory_request=reservations.size("memory") if reservations else None,
    )
    flat = Resources(
        cpu_limit=fields.cpus("cpus"),
        memory_limit=fields.size("mem_limit"),
        memory_request=fields.size("mem_reservation"),
    )
    for attribute, key in (
        ("cpu_limit", "cpus"),
        ("memory_limit", "mem_limit"),
        ("memory_request", "mem_reservation"),
    ):
        value, other = getattr(flat, attribute), getattr(found, attribute)
        if value and other and value != other:
            fields.error(
                "CMP260", key, f"{key} and deploy.resources say different things", "Keep one."
            )
        if value and not other:
            setattr(found, attribute, value)
    _read_cpu_time(fields, found)
    for name, node, origin in fields.pairs("storage_opt"):
        path = f"{fields.at('storage_opt')}.{shorten(name)}"
        if name != "size":
            fields.report.warning("CMP402", origin, path, "this storage option is not applied")
            continue
        try:
            found.storage_limit = parse_size(node.text)
        except ValueError as error:
            fields.report.error("CMP004", origin, path, str(error), "Write it as 10g.")
    return found


def _read_cpu_time(fields: Fields, found: Resources) -> None:
    """cpu_quota of every cpu_period is a limit; cpu_shares of 1024 are one CPU's request."""
    quota, period = fields.whole("cpu_quota"), fields.whole("cpu_period")
    if quota is not None and quota > 0:
        limit = max(1, -(-quota * 1000 // (period if period and period > 0 else _CPU_PERIOD)))
        if found.cpu_limit and found.cpu_limit != limit:
            fields.error(
                "CMP260", "cpu_quota", "cpu_quota and cpus say different things", "Keep one."
            )
        found.cpu_limit = found.cpu_limit or limit
    shares = fields.whole("cpu_shares")
    if shares is not None and shares > 0 and not found.cpu_request:
        request = max(1, min(shares, _MOST_SHARES) * 1000 // 1024)
        found.cpu_request = min(request, found.cpu_limit or request)


def _read_attachments(fields: Fields) -> list[Attachment]:
    return [
        Attachment(name, item.texts("aliases"), item.node.origin, item.path)
        for name, item in fields.children("networks")
    ]


def _read_aliases(fields: Fields, hints: Hints) -> list[ScalarNode]:
    found = [hints.name] if hints.name else []
    found += [node for key in ("container_name", "hostname") if (node := fields.scalar(key))]
    for _, item in fields.children("networks"):
        found += item.texts("aliases")
    return found


def _read_grants(fields: Fields, key: str, folder: str) -> list[Grant]:
    grants: list[Grant] = []
    for item in fields.items(key):
        source = item.text("source")
        target = item.text("target") or source
        mode = item.scalar("mode")
        grants.append(
            Grant(
                source=source,
                target=posixpath.normpath(posixpath.join(folder, target)),
                mode=_octal(mode, item) if mode is not None else None,
                origin=item.origin("source"),
                path=item.path,
            )
        )
    return grants


def _octal(node: ScalarNode, item: Fields) -> int | None:
    """A file mode: `0440` and `0o440` are octal, quoted `"0440"` too."""
    digits = node.text.lower().removeprefix("0o")
    if re.fullmatch(r"[0-7]{1,5}", digits) is None:
        item.error("CMP004", "mode", f'"{shorten(node.text)}" is not an octal file mode as 0440')
        return None
    return int(digits, 8) & 0o777
