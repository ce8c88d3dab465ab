"""From compose files to a plan: the one place that puts the stages in order.

load (files → one document) → read (document → model) → check → decide (names, kinds, ports) →
build (manifests) → verify → waves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.compose import (
    bindings,
    dependencies,
    discovery,
    images,
    isolation,
    network,
    pod_groups,
    restarting,
    security,
)
from agent.compose.assembly import Assembly
from agent.compose.config import check_contents, read_environments
from agent.compose.config_manifests import config_manifests
from agent.compose.context import Context, SourceFile
from agent.compose.diagnostics import Report, Severity
from agent.compose.jobs import workload_kind
from agent.compose.loader import Loaded, load
from agent.compose.metadata import Metadata
from agent.compose.model import Condition, Project, Service
from agent.compose.names import is_dns_label, name_services
from agent.compose.origin import NOWHERE
from agent.compose.paths import ProjectFiles
from agent.compose.pod_waits import PodWaits
from agent.compose.pods import Pods
from agent.compose.reader import read_project
from agent.compose.result import (
    HostAlias,
    Manifest,
    Plan,
    PortFact,
    PublicGuess,
    ServiceFacts,
    WaitFor,
    Wave,
    WorkloadKind,
)
from agent.compose.verify import verify
from agent.compose.volumes import Volumes
from agent.compose.workloads import workload

MAX_APP_NAME = 40


def plan(sources: Sequence[SourceFile], context: Context) -> Plan:
    """Convert compose files to Kubernetes manifests. Never raises for any bytes; problems are
    diagnostics, all of them at once.

    Later files override earlier ones by the compose merge rules.
    """
    report = Report(context.limits.diagnostics)
    files = [*(source.path for source in sources), *context.env_files]
    if not is_dns_label(context.app) or len(context.app) > MAX_APP_NAME:
        report.error(
            "CMP009",
            NOWHERE,
            "",
            f'"{context.app[:60]}" is not a name for an app',
            f"Use at most {MAX_APP_NAME} lower-case letters, digits and dashes.",
        )
        return Plan(diagnostics=report.result(files))
    project_files = ProjectFiles(context.files, sources)
    loaded = load(sources, context, project_files, report)
    if loaded is None:
        return Plan(diagnostics=report.result(files))
    context = replace(context, variables=loaded.variables)
    planned = _Planner(loaded, context, project_files, report).plan()
    return replace(planned, diagnostics=report.result(files))


class _Planner:
    def __init__(
        self, loaded: Loaded, context: Context, files: ProjectFiles, report: Report
    ) -> None:
        self._files = files
        self._loaded = loaded
        self._context = context
        self._report = report
        self._metadata = Metadata(context)
        self._project: Project = read_project(loaded.document, context, files, report)
        self._volumes = Volumes(self._project, context, files, self._metadata, report)

    def plan(self) -> Plan:
        """The plan; without waves when anything was refused."""
        services = dependencies.active_services(self._project, self._context)
        dependencies.resolve(self._project, services, self._report)
        shared = bindings.replaced(services, self._context)
        bindings.leave_out(services, shared)
        leaders = pod_groups.group(services)
        if not self._report.rejected:
            dependencies.check_pods(services, leaders, self._report)
        security.check_project(self._project, services)
        check_contents(self._project, self._context)
        for service in services.values():
            self._check_service(service)
        names = name_services(services.values(), self._report)
        environments = read_environments(
            services, self._context, self._files, self._report, self._loaded.budget
        )
        ports = discovery.discover(services, environments)
        assemblies = self._assemble(services, leaders, names, environments, ports)
        aliases = self._host_aliases(network.add_aliases(assemblies, self._report), assemblies)
        for assembly in assemblies.values():
            assembly.hosts = aliases
        network.check_networks(self._project, assemblies, self._report)
        policies = self._policies(assemblies)
        pods = Pods(self._project, self._context, self._metadata, self._report)
        restarting.build(assemblies, lambda a: workload(a, pods, self._metadata))
        waves = self._waves(assemblies, policies)
        return Plan(
            waves=waves if not self._report.rejected and self._verified(waves) else (),
            services=tuple(self._facts(a, names) for a in assemblies.values()),
            volumes=self._volumes.facts(),
            public=self._public(assemblies, ports),
            host_aliases=aliases,
            bindings=bindings.facts(services, shared, environments, self._context),
        )

    def _verified(self, waves: Sequence[Wave]) -> bool:
        manifests = [manifest for wave in waves for manifest in wave.manifests]
        verify(manifests, self._context.namespace, self._report)
        return not self._report.rejected

    def _check_service(self, service: Service) -> None:
        fields = service.fields
        if not service.image:
            if not (fields.has("build") or fields.has("provider")):
                self._report.error(
                    "CMP201", service.origin, service.path, "there is no image", "Add image:."
                )
        elif not images.is_image_name(service.image):
            fields.error("CMP204", "image", f'"{service.image[:80]}" is not the name of an image')
        if service.replicas > 1 and fields.has("container_name"):
            fields.error(
                "CMP203",
                "container_name",
                f"one container name cannot name {service.replicas} containers",
                "Remove it, or run one replica.",
            )
        for key in ("command", "entrypoint"):
            if any("\x00" in word for word in getattr(service, key) or ()):
                fields.error("CMP221", key, "the command has a NUL character")

    def _assemble(
        self,
        services: dict[str, Service],
        leaders: dict[str, str],
        names: dict[str, str],
        environments: dict[str, dict[str, str]],
        ports: dict[str, tuple[PortFact, ...]],
    ) -> dict[str, Assembly]:
        waits = PodWaits(self._project, services, leaders, names, ports, self._report)
        levels = {} if self._report.rejected else dependencies.levels(services, leaders)
        assemblies = {
            name: Assembly(
                service=service,
                name=names[name],
                kind=workload_kind(service, services, self._report),
                level=levels.get(name, 0),
                ports=ports[name],
                environment=environments[name],
                volumes=self._volumes.pod_volumes(service, names[name]),
                waits=waits.of(service),
                headless=discovery.is_headless(service, ports[name]),
                leader=leaders[name],
                pod_name=names[leaders[name]],
                env_secret=self._metadata.name(names[name], "env") if environments[name] else "",
            )
            for name, service in services.items()
        }
        for assembly in assemblies.values():
            self._check_assembly(assembly)
        if not self._report.rejected:
            pod_groups.join(assemblies, self._report)
        pod_names = {a.name: a.pod_name for a in assemblies.values()}
        groups = self._volumes.groups(pod_names)
        for assembly in assemblies.values():
            assembly.volume_group = groups.get(assembly.name, "")
            if assembly.volumes.claims and assembly.service.replicas > 1:
                assembly.service.fields.warning(
                    "CMP343",
                    "deploy" if assembly.service.fields.has("deploy") else "scale",
                    "all replicas write to the same volume and run on one node",
                )
                assembly.volume_group = assembly.volume_group or assembly.name
        return assemblies

    def _check_assembly(self, assembly: Assembly) -> None:
        service = assembly.service
        if images.keeps_data(service.image) and not assembly.volumes.claims:
            service.fields.warning(
                "CMP345",
                "image",
                "the service has no volume: its data is lost whenever its pod is replaced",
                "Mount a named volume where it keeps its data.",
            )
        for port in service.ports:
            fact = next(
                f for f in assembly.ports if (f.port, f.protocol) == (port.target, port.protocol)
            )
            if port.published and not fact.http and not discovery.is_loopback(port.host_ip):
                self._report.info(
                    "CMP230",
                    port.origin,
                    f"{service.path}.ports",
                    f"port {port.published}→{port.target}/{port.protocol} does not look like HTTP "
                    "and is reachable inside only",
                )

    def _policies(self, assemblies: dict[str, Assembly]) -> list[Manifest]:
        assemblies = {n: a for n, a in assemblies.items() if not a.is_member}
        if not isolation.is_separated(self._project, assemblies):
            return []
        if self._context.network_isolation:
            return isolation.isolate(self._project, assemblies, self._metadata)
        network.report_no_isolation(self._project, assemblies, self._report)
        return []

    def _waves(self, assemblies: dict[str, Assembly], policies: list[Manifest]) -> tuple[Wave, ...]:
        services = [
            manifest
            for assembly in assemblies.values()
            for manifest in network.service_manifests(assembly, self._metadata)
        ]
        services += network.alias_manifests(assemblies.values(), self._metadata)
        waves = [
            Wave(
                "config",
                (
                    *config_manifests(assemblies.values(), self._project, self._metadata),
                    *self._volumes.objects(),
                ),
            ),
            Wave("volumes", tuple(self._volumes.claims())),
            Wave("network", (*services, *policies)),
        ]
        awaited = {
            dependency.service
            for assembly in assemblies.values()
            for dependency in assembly.service.depends_on
            if dependency.condition is Condition.COMPLETED
        }
        last = max((assembly.level for assembly in assemblies.values()), default=0)
        for name, assembly in assemblies.items():
            # A wave waits for all its Jobs, so those that nobody waits for come last.
            if assembly.kind is not WorkloadKind.DEPLOYMENT and name not in awaited:
                assembly.level = last
        for level in sorted({assembly.level for assembly in assemblies.values()}):
            members = {n: a for n, a in assemblies.items() if a.level == level}
            manifests = tuple(
                a.workload for a in members.values() if a.workload is not None and not a.is_member
            )
            wait = WaitFor.JOBS_COMPLETE if awaited & set(members) else WaitFor.NONE
            waves.append(Wave(f"workloads-{level + 1}", manifests, wait))
        return tuple(wave for wave in waves if wave.manifests)

    def _facts(self, assembly: Assembly, names: dict[str, str]) -> ServiceFacts:
        return ServiceFacts(
            name=assembly.name,
            original_name=assembly.service.name,
            workload=assembly.kind,
            workload_name=assembly.workload["metadata"]["name"] if assembly.workload else "",
            sleep_after=assembly.service.extension.sleep,
            pod_of=assembly.pod_name if assembly.is_member else "",
            image=assembly.service.image,
            replicas=assembly.service.replicas if assembly.kind is WorkloadKind.DEPLOYMENT else 1,
            ports=assembly.ports,
            volumes=tuple(assembly.volumes.claims),
            depends_on=tuple(
                names[d.service] for d in assembly.service.depends_on if d.service in names
            ),
            headless=assembly.headless,
        )

    def _public(
        self, assemblies: dict[str, Assembly], ports: dict[str, tuple[PortFact, ...]]
    ) -> PublicGuess | None:
        """The guess among services that stay up, under the name they have in the cluster."""
        staying = {n: a.service for n, a in assemblies.items() if a.kind is WorkloadKind.DEPLOYMENT}
        guess = discovery.guess_public(staying, ports)
        return None if guess is None else replace(guess, service=assemblies[guess.service].name)

    def _host_aliases(
        self, aliases: tuple[HostAlias, ...], assemblies: dict[str, Assembly]
    ) -> tuple[HostAlias, ...]:
        """Those with an address that stays; a headless Service has none."""
        headless = {a.name: a for a in assemblies.values() if a.headless or not a.has_service}
        for alias in aliases:
            target = headless.get(alias.service)
            users = [a for a in assemblies.values() if a is not target and _names(a, alias)]
            if target is not None:
                key = _key_of_alias(target.service, alias)
                self._report.add(
                    Severity.WARNING if users else Severity.INFO,
                    "CMP133",
                    target.service.fields.origin(key) if key else target.service.origin,
                    f"{target.service.path}.{key}" if key else target.service.path,
                    f'"{alias.hostname}" does not resolve, because no port of the service is known',
                    f'Use the name "{alias.service}", or declare its port with expose:.',
                )
        return tuple(alias for alias in aliases if alias.service not in headless)


def _key_of_alias(service: Service, alias: HostAlias) -> str:
    """The key a host name comes from; empty if it is the service's own name or a link to it."""
    for key in ("container_name", "hostname"):
        if service.fields.text(key) == alias.hostname:
            return key
    named = any(node.text == alias.hostname for node in service.aliases)
    return "networks" if named and service.fields.has("networks") else ""


def _names(assembly: Assembly, alias: HostAlias) -> bool:
    """Whether the values of a service have a host name in them."""
    service = assembly.service
    texts = (*assembly.environment.values(), *(service.command or ()), *(service.entrypoint or ()))
    return any(alias.hostname in text for text in texts)
