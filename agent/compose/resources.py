"""CPU and memory: limits and requests of the container."""

from __future__ import annotations

from typing import Any

from agent.compose.model import Service
from agent.compose.sizes import cpu_quantity, quantity

_DEFAULT_CPU_REQUEST = 50
_DEFAULT_MEMORY_REQUEST = 128 << 20
_SMALLEST_MEMORY = 6 << 20
"""Docker's own minimum; a smaller limit cannot start any container."""


def resources(service: Service) -> dict[str, Any]:
    """`resources` of the container; empty where the file says nothing.

    A limit alone would become the request too (a Kubernetes default), so a modest one is set.
    """
    asked = service.resources
    _check(service)
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    cpu_request, memory_request = asked.cpu_request, asked.memory_request
    if asked.cpu_limit:
        limits["cpu"] = cpu_quantity(asked.cpu_limit)
        cpu_request = cpu_request or min(asked.cpu_limit, _DEFAULT_CPU_REQUEST)
    if asked.memory_limit:
        limits["memory"] = quantity(asked.memory_limit)
        memory_request = memory_request or min(asked.memory_limit, _DEFAULT_MEMORY_REQUEST)
    if asked.storage_limit:
        limits["ephemeral-storage"] = quantity(asked.storage_limit)
    if cpu_request:
        requests["cpu"] = cpu_quantity(cpu_request)
    if memory_request:
        requests["memory"] = quantity(memory_request)
    found = {"requests": requests, "limits": limits}
    return {name: values for name, values in found.items() if values}


def _check(service: Service) -> None:
    asked = service.resources
    fields = service.fields
    key = "deploy" if fields.has("deploy") else "mem_limit"
    if asked.memory_limit and asked.memory_limit < _SMALLEST_MEMORY:
        fields.error(
            "CMP260", key, f"a memory limit of {asked.memory_limit} bytes is too small", "Use 6m."
        )
    if asked.memory_limit and (asked.memory_request or 0) > asked.memory_limit:
        fields.error("CMP260", key, "the memory reservation is larger than the limit")
    if asked.cpu_limit and (asked.cpu_request or 0) > asked.cpu_limit:
        fields.error("CMP260", key, "the CPU reservation is larger than the limit")
    shared = fields.size("shm_size")
    if asked.memory_limit and shared and shared >= asked.memory_limit:
        fields.warning(
            "CMP260",
            "shm_size",
            "what is in /dev/shm counts as memory, and the limit is not larger",
        )
