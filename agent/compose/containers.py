"""A service → its container: what it runs, as whom, with which rights, mounts and checks."""

from __future__ import annotations

from typing import Any

from agent.compose.assembly import Assembly
from agent.compose.diagnostics import Report
from agent.compose.hooks import lifecycle
from agent.compose.model import Hook, Service
from agent.compose.names import dns_label, object_name
from agent.compose.probes import probes
from agent.compose.pulling import is_period, pull_policy
from agent.compose.resources import resources
from agent.compose.result import WorkloadKind
from agent.compose.security import capability
from agent.compose.users import read_user, user_and_group


def container(assembly: Assembly, report: Report, shared: bool, processes: bool) -> dict[str, Any]:
    """The container of a service. `shared`: its pod has others too; `processes`: they see each
    other's processes."""
    service = assembly.service
    fields = service.fields
    found: dict[str, Any] = {
        "name": assembly.name if shared else _name(assembly),
        "image": service.image,
        **_pull_policy(service),
        **_arguments(service),
    }
    if fields.has("working_dir"):
        found["workingDir"] = fields.text("working_dir")
    if assembly.env_secret:
        found["envFrom"] = [{"secretRef": {"name": assembly.env_secret}}]
    if assembly.ports:
        found["ports"] = [
            {
                "name": port_name(fact.port, fact.protocol),
                "containerPort": fact.port,
                "protocol": fact.protocol.upper(),
            }
            for fact in assembly.ports
        ]
    limits = resources(service)
    if limits:
        found["resources"] = limits
    if assembly.kind is WorkloadKind.DEPLOYMENT:
        found |= probes(service, report)
    elif service.healthcheck is not None and not service.healthcheck.disabled:
        fields.info("CMP243", "healthcheck", "a service that ends is not checked")
    events = lifecycle(service, processes)
    if events:
        found["lifecycle"] = events
    for key, name in (("stdin_open", "stdin"), ("tty", "tty")):
        if fields.flag(key):
            found[name] = True
    security = _security(service, shared)
    if security:
        found["securityContext"] = security
    if assembly.volumes.mounts:
        found["volumeMounts"] = assembly.volumes.mounts
    return found


def hook_containers(assembly: Assembly, main: dict[str, Any]) -> list[dict[str, Any]]:
    """The init containers of `pre_start`, in order; `main` is the service's own container."""
    return [
        _hook_container(assembly, hook, index, main)
        for index, hook in enumerate(assembly.service.pre_start)
    ]


def _hook_container(
    assembly: Assembly, hook: Hook, index: int, main: dict[str, Any]
) -> dict[str, Any]:
    service = assembly.service
    if service.replicas > 1 and not hook.fields.flag("per_replica"):
        hook.fields.report.warning(
            "CMP161", hook.origin, hook.path, "the hook runs once in every replica",
            "Write it as a service, and depends_on with service_completed_successfully.",
        )  # fmt: skip
    kept = ("envFrom", "volumeMounts", "resources", *(() if hook.image else ("imagePullPolicy",)))
    found: dict[str, Any] = {
        "name": object_name(f"pre-start-{index + 1}", assembly.name),
        "image": hook.image or service.image,
        **{key: main[key] for key in kept if key in main},
    }
    if hook.command:
        found["args"] = [escape(word) for word in hook.command]
    if not hook.image and "command" in main and hook.command:
        found["command"] = main["command"]
    folder = hook.working_dir or ("" if hook.image else service.fields.text("working_dir"))
    if folder:
        found["workingDir"] = folder
    if hook.environment:
        found["env"] = [
            {"name": name, "value": escape(value)} for name, value in hook.environment.items()
        ]
    security = {
        key: value
        for key, value in main.get("securityContext", {}).items()
        if not (hook.image and key in ("runAsUser", "runAsGroup"))
    }
    user, group = read_user(hook.fields, hook.user, hook.image or service.image)
    if user is not None:
        security["runAsUser"] = user
    if group is not None:
        security["runAsGroup"] = group
    if security:
        found["securityContext"] = security
    return found


def port_name(port: int, protocol: str) -> str:
    """Name of a port: unique within a service, at most 15 characters."""
    return f"p-{port}" if protocol == "tcp" else f"p-{port}-{protocol}"


def escape(word: str) -> str:
    """Kubernetes expands `$(NAME)` and `$$` in commands; compose's text is final already."""
    return word.replace("$", "$$")


def _name(assembly: Assembly) -> str:
    wanted = assembly.service.fields.text("container_name")
    return dns_label(wanted) if wanted else assembly.name


def _pull_policy(service: Service) -> dict[str, str]:
    fields = service.fields
    wanted = fields.text("pull_policy")
    if wanted == "build":
        fields.warning("CMP202", "pull_policy", "images are not built here; it is pulled")
    elif is_period(wanted):
        fields.info("CMP420", "pull_policy", "the image is pulled whenever a pod starts")
    policy = pull_policy(service)
    return {"imagePullPolicy": policy} if policy else {}


def _arguments(service: Service) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if service.entrypoint:
        found["command"] = [escape(word) for word in service.entrypoint]
    elif service.entrypoint is not None:
        if service.command:
            found["command"] = [escape(word) for word in service.command]
            return found
        service.fields.error(
            "CMP222",
            "entrypoint",
            "the image's entrypoint is cleared and there is no command",
            "Write a command.",
        )
    if service.command:
        found["args"] = [escape(word) for word in service.command]
    elif service.command is not None and not service.entrypoint:
        service.fields.warning(
            "CMP222", "command", "an empty command does not clear the image's command"
        )
    return found


def _security(service: Service, shared: bool) -> dict[str, Any]:
    fields = service.fields
    security: dict[str, Any] = {}
    options = [node.text.replace(":", "=", 1) for node in fields.texts("security_opt")]
    if any(option in ("no-new-privileges", "no-new-privileges=true") for option in options):
        security["allowPrivilegeEscalation"] = False
    add = [capability(node.text) for node in fields.texts("cap_add")]
    drop = [capability(node.text) for node in fields.texts("cap_drop")]
    capabilities = {
        key: list(dict.fromkeys(names)) for key, names in (("add", add), ("drop", drop)) if names
    }
    if capabilities:
        security["capabilities"] = capabilities
    if fields.flag("read_only"):
        security["readOnlyRootFilesystem"] = True
    if shared:
        user, group = user_and_group(service)
        security |= {
            key: value
            for key, value in (("runAsUser", user), ("runAsGroup", group))
            if value is not None
        }
    return security
