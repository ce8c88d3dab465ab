"""The agent's composition root: constructs everything, top to bottom, and runs it until told to stop.

Called by `__main__`. Nothing else in the package constructs collaborators.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import structlog
from skerry.version import VERSION

from agent.bootstrap import catalog
from agent.bootstrap.addon import AddOn
from agent.bootstrap.catalog import CatalogOptions
from agent.bootstrap.reconciler import Pace
from agent.bootstrap.service import Bootstrap
from agent.compose import plan
from agent.facts.probe import NetworkPolicyProbe, ProbePace
from agent.facts.reporter import FactsPace, FactsReporter
from agent.handlers.addons import RetryAddOnHandler
from agent.handlers.check import CheckHandler, ComposeSchemaHandler
from agent.handlers.deploy import DeleteAppHandler, DeployAppHandler
from agent.handlers.environments import DeleteEnvironmentHandler, EnsureEnvironmentHandler
from agent.handlers.exec import ExecHandler
from agent.handlers.logs import LogsHandler
from agent.handlers.plan import PlanHandler
from agent.handlers.status import AppReports, EnvironmentReports
from agent.health import CertificateView, Health, HealthServer, LinkView
from agent.joining import identify
from agent.kube import KubeClient
from agent.link import IdentityStore, Journal, Link, ReportBoard, read_proxy_ca
from agent.settings import AgentSettings
from agent.workloads.checking import Checker
from agent.workloads.conversion import ConversionSettings
from agent.workloads.deploy import Deployer, DeploySettings
from agent.workloads.environments import Environments
from agent.workloads.guardian import Guardian, GuardPace
from agent.workloads.preview import Previewer
from agent.workloads.removal import Remover
from agent.workloads.reporter import StatusReporter

log = structlog.get_logger(__name__)

_CHECKS_AT_ONCE = 2


class _StopAsked(Exception):
    """Ends the task group from inside; never leaves this module."""


async def run(settings: AgentSettings) -> None:
    """Run until SIGTERM or SIGINT; returns after an orderly stop.

    Raises CatalogError, EnrolmentError, IdentityError, JournalError, LinkRefused, ListenError and
    KubeError (only ConfigError: an API server that is away is waited for).
    """
    stop = _stop_on_signal()
    add_ons = load_add_ons(settings)
    async with KubeClient(settings.kubeconfig, context=settings.context) as kube:
        identity = await identify(settings)
        log.info(
            "agent_starting",
            version=VERSION,
            cluster=identity.cluster,
            control_plane=identity.address,
            kubernetes=kube.host,
        )
        board = ReportBoard()
        bootstrap = Bootstrap(
            add_ons,
            kube=kube,
            namespace=settings.namespace,
            reports=board,
            pace=Pace(),
            clock=_now,
            chance=random.random,
        )
        facts = FactsReporter(kube, board, _probe(settings, kube), clock=_now, pace=FactsPace())
        reports = AppReports(board)
        status = StatusReporter(kube, reports.publish, reports.retract)

        environments = Environments(kube, cluster=identity.cluster_uid)
        guard_reports = EnvironmentReports(board)
        guardian = Guardian(
            kube,
            environments,
            guard_reports.publish,
            guard_reports.retract,
            cluster=identity.cluster_uid,
            clock=_now,
            pace=GuardPace(),
        )
        conversion = _conversion(settings)
        checking = ThreadPoolExecutor(_CHECKS_AT_ONCE, "check")
        deployer = Deployer(kube, environments, plan, DeploySettings(conversion=conversion))
        exec_ = ExecHandler(
            kube, lambda: secrets.token_hex(8), keep_seconds=settings.exec_keep_seconds
        )
        link = Link(
            identity=identity,
            store=IdentityStore(settings.state_dir),
            proxy_ca_pem=read_proxy_ca(settings.proxy_ca_file),
            journal=Journal(settings.state_dir / "journal.db", cluster_uid=identity.cluster_uid),
            board=board,
            stream_handlers={
                "logs": LogsHandler(kube),
                "exec": exec_,
                "resume_exec": exec_.resume,
                "plan": PlanHandler(Previewer(kube, environments, plan, conversion)),
                "check": CheckHandler(Checker(plan, checking, conversion)),
                "compose_schema": ComposeSchemaHandler(),
            },
            command_handlers={
                "ensure_environment": EnsureEnvironmentHandler(environments),
                "delete_environment": DeleteEnvironmentHandler(environments),
                "deploy_app": DeployAppHandler(deployer),
                "delete_app": DeleteAppHandler(Remover(kube, environments)),
                "retry_add_on": RetryAddOnHandler(bootstrap.retry),
            },
            agent_version=VERSION,
            boot_id=secrets.token_hex(8),
        )
        health = Health(
            lambda: LinkView(
                link.state,
                link.round_trip_seconds,
                link.last_error,
                CertificateView(
                    link.renewer.identity.expire_time,
                    link.renewer.renewals,
                    link.renewer.last_error,
                ),
                link.counts,
            ),
            board,
        )
        with ExitStack() as stack:
            stack.enter_context(checking)
            if settings.metrics_address:
                server = stack.enter_context(HealthServer(settings.metrics_address, health))
                log.info("health_listening", port=server.port)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(link.run(), name="link")
                    tasks.create_task(bootstrap.run(), name="bootstrap")
                    tasks.create_task(facts.run(), name="facts")
                    tasks.create_task(status.run(), name="app status")
                    tasks.create_task(guardian.run(), name="guardian")
                    tasks.create_task(health.beat(), name="heartbeat")
                    tasks.create_task(_end_on(stop), name="stop")
            except* _StopAsked:
                log.info("agent_stopped")
            finally:
                await exec_.close()


def load_add_ons(settings: AgentSettings) -> tuple[AddOn, ...]:
    """The add-ons with the settings applied. Raises CatalogError."""
    options = CatalogOptions(
        enabled=settings.add_ons_enabled,
        disabled=settings.add_ons_disabled,
        versions=settings.add_on_versions,
        chart_mirror=settings.chart_mirror,
        image_mirror=settings.image_mirror,
        storage_class=settings.storage_class,
        job_image=settings.helm_job_image,
    )
    folders: list[Path] = [catalog.ADD_ONS]
    if settings.add_ons_dir is not None:
        folders.append(settings.add_ons_dir)
    return catalog.load(options, folders)


def _probe(settings: AgentSettings, kube: KubeClient) -> NetworkPolicyProbe | None:
    if not settings.network_policy_probe:
        return None
    image = catalog.mirrored(settings.probe_image, settings.image_mirror)
    return NetworkPolicyProbe(kube, image, pace=ProbePace(), monotonic=time.monotonic)


def _conversion(settings: AgentSettings) -> ConversionSettings:
    defaults = ConversionSettings()
    return ConversionSettings(
        default_storage_class=settings.storage_class or None,
        wait_image=settings.wait_image
        or catalog.mirrored(defaults.wait_image, settings.image_mirror),
    )


def _stop_on_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        log.info("stop_asked", signal=number.name)
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    return stop


async def _end_on(stop: asyncio.Event) -> None:
    await stop.wait()
    raise _StopAsked


def _now() -> datetime:
    return datetime.now(UTC)
