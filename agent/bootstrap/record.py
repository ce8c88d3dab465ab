"""Keeps what the cluster cannot tell by itself, in a ConfigMap an add-on: attempts, retry times, reasons.

Losing one costs a counter, not the installation: what is installed is always read from the cluster.
Used by `reconciler`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import structlog

from agent.bootstrap.addon import ADD_ON_LABEL, MANAGED_BY, MANAGED_BY_LABEL
from agent.bootstrap.machine import Record, State
from agent.bootstrap.namespace import FIELD_MANAGER, OwnNamespace
from agent.kube import KubeClient, Manifest

log = structlog.get_logger(__name__)

_KEY = "record.json"


class RecordStore:
    """Records in the agent's namespace."""

    def __init__(self, kube: KubeClient, namespace: OwnNamespace) -> None:
        self._kube = kube
        self._namespace = namespace

    async def load(self, name: str, now: datetime) -> Record:
        """The record, or a fresh one. Raises KubeError."""
        found = await self._kube.get("v1", "ConfigMap", _config_map(name), self._namespace.name)
        if found is None:
            return Record(State.PENDING, now)
        try:
            return decode((found.get("data") or {})[_KEY])
        except (KeyError, TypeError, ValueError) as error:
            log.warning("add_on_record_damaged", add_on=name, error=repr(error))
            return Record(State.PENDING, now)

    async def save(self, name: str, record: Record) -> None:
        """Raises KubeError."""
        manifest: Manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": _config_map(name),
                "namespace": self._namespace.name,
                "labels": {MANAGED_BY_LABEL: MANAGED_BY, ADD_ON_LABEL: name},
            },
            "data": {_KEY: encode(record)},
        }
        await self._namespace.ensure()
        await self._kube.apply(manifest, field_manager=FIELD_MANAGER, force=True)


def encode(record: Record) -> str:
    values: dict[str, Any] = {}
    for name in Record.__slots__:
        value = getattr(record, name)
        values[name] = value.isoformat() if isinstance(value, datetime) else value
    return json.dumps(values, sort_keys=True)


def decode(text: str) -> Record:
    """Raises KeyError, TypeError or ValueError for what is not a record."""
    values = json.loads(text)
    for name in ("changed", "started", "retry_at"):
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    values["state"] = State(values["state"])
    record = Record(**values)
    if record.changed is None:
        raise ValueError("changed is missing")
    return record


def _config_map(name: str) -> str:
    return f"skerry-add-on-{name}"
