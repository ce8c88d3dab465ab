"""Rows of the table of keys below a service's `deploy` and `x-skerry`."""

from __future__ import annotations

from agent.compose.key import Key, Shape, changed, converted, ignored, refused

_S = Shape
_REMOVE = "Remove the line."

DEPLOY: tuple[Key, ...] = (
    converted("mode", _S.TEXT, "replicated; replicated-job is a Job; global is one replica"),
    converted("replicas", _S.WHOLE, "replicas"),
    converted("endpoint_mode", _S.TEXT, "vip: ClusterIP; dnsrr: headless"),
    ignored("labels", _S.PAIRS, "CMP407", "as labels: kept as annotations label.skerry.dev/NAME"),
    converted("update_config", _S.MAPPING, "rolling update; Recreate where a volume is mounted"),
    converted("update_config.parallelism", _S.WHOLE, "maxSurge or maxUnavailable"),
    converted("update_config.order", _S.TEXT, "start-first: surge; stop-first: unavailable"),
    converted("update_config.delay", _S.DURATION, "minReadySeconds"),
    ignored(
        "update_config.failure_action", _S.TEXT, "CMP410", "a failed rollout keeps the old pods"
    ),
    ignored("update_config.monitor", _S.DURATION, "CMP410", "readiness decides"),
    ignored("update_config.max_failure_ratio", _S.NUMBER, "CMP410", "readiness decides"),
    ignored("rollback_config", _S.ANY, "CMP410", "a rollback is a deploy of an old revision"),
    converted("resources", _S.MAPPING, "see its keys"),
    converted("resources.limits", _S.MAPPING, "limits"),
    converted("resources.limits.cpus", _S.NUMBER, "CPU limit"),
    converted("resources.limits.memory", _S.SIZE, "memory limit"),
    changed("resources.limits.pids", _S.TEXT, "CMP402", "the limit of processes is the node's"),
    converted("resources.reservations", _S.MAPPING, "requests"),
    converted("resources.reservations.cpus", _S.NUMBER, "CPU request"),
    converted("resources.reservations.memory", _S.SIZE, "memory request"),
    refused(
        "resources.reservations.devices",
        _S.ANY,
        "CMP315",
        "there is no GPU entitlement",
        "Ask the operator for one.",
    ),
    refused(
        "resources.reservations.generic_resources",
        _S.ANY,
        "CMP315",
        "generic resources are not available",
        _REMOVE,
    ),
    converted("restart_policy", _S.MAPPING, "overrides restart"),
    converted("restart_policy.condition", _S.TEXT, "any: Deployment; none and on-failure: Job"),
    converted("restart_policy.max_attempts", _S.WHOLE, "backoffLimit of a Job"),
    ignored("restart_policy.delay", _S.DURATION, "CMP411", "Kubernetes backs off by itself"),
    ignored("restart_policy.window", _S.DURATION, "CMP411", "Kubernetes backs off by itself"),
    changed("placement", _S.ANY, "CMP409", "placement on nodes is the platform's"),
)

EXTENSION: tuple[Key, ...] = (
    converted("public", _S.EXTERNAL, "whether the world may reach it"),
    converted("public.port", _S.WHOLE, "the port the world reaches"),
    converted("public.host", _S.TEXT, "the host name the world uses"),
    converted("cron", _S.TEXT, "a schedule as 0 3 * * *: the service becomes a CronJob, in UTC"),
    converted("liveness", _S.FLAG, "true: the health check also restarts the container"),
    converted("ports", _S.TEXTS, "ports the service listens on, where the file does not say"),
    converted(
        "use", _S.TEXT, "shared-postgres or shared-s3: the platform's own instead of this service"
    ),
    converted("sleep", _S.TEXT, "idle time as 30m before the service may sleep; false: never"),
)
