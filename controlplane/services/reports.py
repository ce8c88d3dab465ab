"""What agents report, put where it belongs: facts, add-ons, apps. Called by the agents' sessions."""

import dataclasses

import structlog

from controlplane.domain.addons import AddOn
from controlplane.domain.apps import App
from controlplane.domain.clusters import Cluster, ClusterFacts
from controlplane.domain.names import AddOnName
from controlplane.domain.projects import Environment
from controlplane.domain.reports import AddOnStatus, AppStatus, EnvironmentStatus, Report
from controlplane.domain.workloads import ServiceStatus, State
from controlplane.services.views import with_condition
from controlplane.store.transaction import Transaction

_log = structlog.get_logger(__name__)

_SERVING = frozenset({State.READY, State.SLEEPING, State.DEGRADED})
_NOT_SERVING = frozenset({State.FAILED, State.STOPPED})


async def apply_report(tx: Transaction, cluster: Cluster, report: Report) -> None:
    """Record a report that is newer than the one before under its key; one that makes no sense is logged and dropped."""
    noun, _, name = report.key.partition("/")
    body = report.body
    if noun == "facts" and isinstance(body, ClusterFacts):
        await tx.clusters.save_facts(cluster, body, tx.now)
    elif noun == "addons" and report.deleted:
        await tx.add_ons.delete(cluster.uid, name)
    elif noun == "addons" and isinstance(body, AddOnStatus) and body.name == name:
        await tx.add_ons.put(_add_on(cluster, body))
    elif noun == "apps" and (report.deleted or isinstance(body, AppStatus)):
        app = await tx.apps.get_by_uid(name)
        # An app of another cluster is none of this agent's business; one that is gone was deleted meanwhile.
        if app is not None and app.cluster_uid == cluster.uid:
            status = body if isinstance(body, AppStatus) else None
            await tx.apps.save(_observed(app, None if report.deleted else status, tx))
    elif noun == "environments" and (report.deleted or isinstance(body, EnvironmentStatus)):
        environment = await tx.environments.get_by_uid(name)
        if environment is not None and environment.cluster_uid == cluster.uid:
            guards = body if isinstance(body, EnvironmentStatus) else None
            await tx.environments.save(
                _guarded(environment, None if report.deleted else guards, cluster, tx)
            )
    else:
        _log.warning("report_dropped", cluster=str(cluster.name), key=report.key[:100])


def _guarded(
    environment: Environment, status: EnvironmentStatus | None, cluster: Cluster, tx: Transaction
) -> Environment:
    if status is None:
        ok, reason = False, "NamespaceGone"
        message = "its namespace is gone from the cluster: a deploy makes it again"
    else:
        ok, reason, message = status.guarded, status.reason, status.message
        facts = cluster.facts
        if ok and facts is not None and facts.network_policy_enforced is False:
            ok, reason = False, "PoliciesNotEnforced"
            message = facts.network_policy_message or "the cluster does not enforce policies"
    return dataclasses.replace(
        environment,
        conditions=with_condition(
            environment.conditions,
            "Isolated",
            status=ok,
            reason=reason,
            message=message,
            now=tx.now,
        ),
        update_time=tx.now,
    )


def _add_on(cluster: Cluster, status: AddOnStatus) -> AddOn:
    return AddOn(
        name=AddOnName(cluster.name.cluster, status.name),
        cluster_uid=cluster.uid,
        version=status.version,
        state=status.state,
        message=status.message,
        log_tail=status.log_tail,
        attempts=status.attempts,
        retry_time=status.retry_time,
        transition_time=status.transition_time,
        depends_on=status.depends_on,
    )


def _observed(app: App, status: AppStatus | None, tx: Transaction) -> App:
    if status is None:
        state, reason = State.FAILED, "ObjectsGone"
        message = "its objects are gone from the cluster: deploy it again"
        services: tuple[ServiceStatus, ...] = ()
        observe_time = tx.now
    else:
        state, reason, message = status.state, status.reason, status.message
        services = status.services
        observe_time = status.observe_time or tx.now
    available = True if state in _SERVING else False if state in _NOT_SERVING else None
    return dataclasses.replace(
        app,
        state=State.DELETING if app.state is State.DELETING else state,
        services=services,
        observe_time=observe_time,
        conditions=with_condition(
            app.conditions,
            "Available",
            status=available,
            reason=reason or state.value.capitalize(),
            message=message,
            now=tx.now,
        ),
        update_time=tx.now,
    )
