"""The table of each resource: which fields a person wants to see. Used by the commands."""

from __future__ import annotations

from datetime import datetime, timedelta

from skerry import names
from skerry.cli.output import words
from skerry.cli.output.table import Table, cells
from skerry.cli.output.text import first_line
from skerry.cli.output.tone import Tone
from skerry.platform.v1 import (
    app_pb2,
    cluster_pb2,
    deployment_pb2,
    environment_link_pb2,
    environment_pb2,
    operation_pb2,
    project_pb2,
    state_pb2,
    terminal_pb2,
)


class Tables:
    """All tables, as of one moment (ages count from it)."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    @property
    def clusters(self) -> Table[cluster_pb2.Cluster]:
        return Table(
            (
                "NAME",
                "AGENT",
                "LAST SEEN",
                "KUBERNETES",
                "NODES",
                "AGENT VERSION",
                "IDENTITY",
                "AGE",
            ),
            lambda c: cells(
                names.last(c.name),
                words.connection(c.connection),
                words.age(c.last_seen_time, self._now),
                " ".join(filter(None, [c.facts.kubernetes_version, c.facts.distribution])),
                _ready(c.facts.nodes) if c.HasField("facts") else "",
                c.agent_version,
                words.identity(c.identity, self._now),
                words.age(c.create_time, self._now),
            ),
            "clusters",
        )

    @property
    def join_tokens(self) -> Table[cluster_pb2.JoinToken]:
        return Table(
            ("ID", "AGE", "VALID UNTIL"),
            lambda t: cells(
                names.last(t.name),
                words.age(t.create_time, self._now),
                f"{t.expire_time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC",
            ),
            "joinTokens",
        )

    @property
    def add_ons(self) -> Table[cluster_pb2.AddOn]:
        return Table(
            ("NAME", "VERSION", "STATE", "TRIES", "SINCE", "MESSAGE"),
            lambda a: cells(
                names.last(a.name),
                a.version,
                words.add_on(a.state),
                str(a.attempts) if a.attempts else "",
                words.age(a.transition_time, self._now),
                a.message,
            ),
            "addOns",
        )

    @property
    def projects(self) -> Table[project_pb2.Project]:
        return Table(
            ("NAME", "DISPLAY NAME", "AGE"),
            lambda p: cells(
                names.last(p.name), p.display_name, words.age(p.create_time, self._now)
            ),
            "projects",
        )

    @property
    def environments(self) -> Table[environment_pb2.Environment]:
        return Table(
            ("NAME", "PROJECT", "STATE", "CLUSTER", "NAMESPACE", "ISOLATED", "AGE", "MESSAGE"),
            lambda e: cells(
                names.last(e.name),
                names.last(names.parent(e.name)),
                words.state(e.state),
                names.last(e.cluster),
                e.namespace,
                _isolated(e),
                words.age(e.create_time, self._now),
                _isolation(e).message,
            ),
            "environments",
        )

    @property
    def environment_links(self) -> Table[environment_link_pb2.EnvironmentLink]:
        return Table(
            ("LINK", "ENVIRONMENT", "PEER", "AGE"),
            lambda link: cells(
                names.last(link.name),
                names.parent(link.name),
                link.peer,
                words.age(link.create_time, self._now),
            ),
            "links",
        )

    @property
    def apps(self) -> Table[app_pb2.App]:
        return Table(
            ("NAME", "PROJECT", "ENV", "STATE", "REVISION", "SERVICES", "SEEN", "MESSAGE"),
            lambda a: cells(
                names.last(a.name),
                *names.split_app(a.name)[:2],
                words.state(a.state),
                _revision(a),
                ", ".join(service.service for service in a.services),
                words.age(a.observe_time, self._now),
                _trouble(a),
            ),
            "apps",
        )

    @property
    def services(self) -> Table[app_pb2.ServiceStatus]:
        return Table(
            ("SERVICE", "STATE", "READY", "RESTARTS", "IMAGE", "MESSAGE"),
            lambda s: cells(
                s.service,
                words.state(s.state),
                f"{s.ready}/{s.desired}",
                str(sum(pod.restarts for pod in s.pods)),
                s.image,
                # That all is well is what the state says.
                "" if s.state == state_pb2.STATE_READY else s.message,
            ),
        )

    @property
    def pods(self) -> Table[app_pb2.PodStatus]:
        return Table(
            ("POD", "PHASE", "READY", "RESTARTS", "NODE", "AGE", "MESSAGE"),
            lambda p: cells(
                p.pod,
                p.phase.lower(),
                ("yes", Tone.GOOD) if p.ready else ("no", Tone.BUSY),
                str(p.restarts),
                p.node,
                words.age(p.create_time, self._now),
                p.message,
            ),
        )

    @property
    def deployments(self) -> Table[deployment_pb2.Deployment]:
        return Table(
            ("NAME", "REVISION", "PHASE", "OBJECTS", "AGE", "MESSAGE"),
            lambda d: cells(
                names.last(d.name),
                str(d.revision),
                words.phase(d.phase),
                f"{d.objects_applied}/{d.objects_total}" if d.objects_total else "",
                words.age(d.create_time, self._now),
                first_line(d.message),
            ),
            "deployments",
        )

    @property
    def revisions(self) -> Table[deployment_pb2.Revision]:
        return Table(
            ("REVISION", "WAS READY", "FILES", "VARIABLES", "AGE"),
            lambda r: cells(
                str(r.revision),
                ("yes", Tone.GOOD) if r.was_ready else ("no", Tone.DIM),
                ", ".join(r.compose_files),
                ", ".join(r.variable_names),
                words.age(r.create_time, self._now),
            ),
            "revisions",
        )

    @property
    def terminals(self) -> Table[terminal_pb2.Terminal]:
        return Table(
            ("NAME", "APP", "POD", "COMMAND", "CLIENT", "OWNER", "AGE"),
            lambda t: cells(
                names.last(t.name),
                t.app.removeprefix(f"{names.organization()}/"),
                t.pod,
                first_line(" ".join(t.command)) or "login shell",
                "attached" if t.attached else f"left {words.age(t.detach_time, self._now)} ago",
                t.owner,
                words.age(t.create_time, self._now),
            ),
            "terminals",
        )

    @property
    def operations(self) -> Table[operation_pb2.Operation]:
        return Table(
            ("NAME", "KIND", "TARGET", "STATE", "AGE", "MESSAGE"),
            lambda o: cells(
                names.last(o.name),
                o.kind,
                o.target.removeprefix(f"{names.organization()}/"),
                _progress(o),
                words.age(o.create_time, self._now),
                first_line(o.error.message if o.HasField("error") else o.message),
            ),
            "operations",
        )

    @property
    def checked(self) -> Table[app_pb2.CheckedService]:
        return Table(
            ("SERVICE", "KIND", "HOST NAME", "PORTS", "VOLUMES", "SLEEPS AFTER", "IMAGE"),
            lambda s: cells(
                s.service,
                s.kind,
                s.host_name,
                # Where a port comes from that the file does not list is what people ask.
                " ".join(
                    f"{port.port}/{port.protocol}"
                    + ("" if port.source in ("ports", "expose") else f" ({port.source})")
                    for port in s.ports
                ),
                str(len(s.volumes)),
                _sleep(s),
                s.image,
            ),
        )

    @property
    def volumes(self) -> Table[app_pb2.Volume]:
        return Table(
            ("VOLUME", "SIZE", "CLAIM", "USED BY"),
            lambda v: cells(
                v.volume,
                "as it is" if v.external else v.size,
                v.claim,
                ", ".join(v.services),
            ),
        )

    @property
    def changes(self) -> Table[app_pb2.ObjectChange]:
        return Table(
            ("ACTION", "KIND", "NAME", "MESSAGE"),
            lambda c: cells(words.action(c.action), c.kind, c.object_name, c.message),
        )


def _sleep(service: app_pb2.CheckedService) -> str:
    """Empty where the file says nothing."""
    if not service.HasField("sleep_after_seconds"):
        return ""
    seconds = service.sleep_after_seconds
    return words.span(timedelta(seconds=seconds)) if seconds else "never"


def _ready(nodes: object) -> str:
    counted = list(nodes)  # type: ignore[call-overload]
    return f"{sum(node.ready for node in counted)}/{len(counted)}"


def _revision(app: app_pb2.App) -> str:
    """`3`, or `2 → 3` while the wanted revision does not serve yet."""
    if app.serving_revision == app.wanted_revision:
        return str(app.wanted_revision)
    return f"{app.serving_revision or 'none'} → {app.wanted_revision}"


def _trouble(app: app_pb2.App) -> str:
    """The first thing that is wrong, services before conditions; `skerry status APP` shows all."""
    said = [f"{s.service}: {s.message}" for s in app.services if s.message and s.ready < s.desired]
    said = said or [c.message for c in app.conditions if c.HasField("status") and not c.status]
    distinct = list(dict.fromkeys(filter(None, said)))
    more = f" (and {len(distinct) - 1} more)" if len(distinct) > 1 else ""
    return first_line(distinct[0]) + more if distinct else ""


def _progress(operation: operation_pb2.Operation) -> tuple[str, Tone]:
    if not operation.done:
        return ("cancelling" if operation.cancel_requested else "running"), Tone.BUSY
    return ("failed", Tone.BAD) if operation.HasField("error") else ("done", Tone.GOOD)


def _isolation(environment: environment_pb2.Environment) -> state_pb2.Condition:
    """Whether what walls it off is in place; empty before an agent said so."""
    found = (one for one in environment.conditions if one.type == "Isolated")
    return next(found, state_pb2.Condition())


def _isolated(environment: environment_pb2.Environment) -> str:
    condition = _isolation(environment)
    if not condition.HasField("status"):
        return "-"
    return "yes" if condition.status else f"NO ({condition.reason})"
