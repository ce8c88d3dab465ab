"""When an image is pulled: `pull_policy` as Kubernetes says it, for containers and image volumes."""

from __future__ import annotations

from agent.compose.model import Service

_POLICIES = {
    "always": "Always",
    "missing": "IfNotPresent",
    "if_not_present": "IfNotPresent",
    "never": "IfNotPresent",
}


def pull_policy(service: Service) -> str:
    """The policy of the images a service names; empty for Kubernetes' own choice by the tag.

    Periods (`daily`, `every_5h`) pull at every start, which is at least as fresh.
    """
    policy = service.fields.text("pull_policy")
    if policy == "build":
        return ""
    if policy:
        return _POLICIES.get(policy, "Always")
    return service.hints.pull_policy


def is_period(policy: str) -> bool:
    """Whether a `pull_policy` names a period, which the platform has no schedule for."""
    return policy not in ("", "build", *_POLICIES)
