"""The older ways to limit CPU, memory and disk."""

from __future__ import annotations

import pytest

from agent.compose import Severity
from tests.unit.compose.helpers import accepted, codes, container, errors, service


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("cpu_quota: 50000", {"limits": {"cpu": "500m"}, "requests": {"cpu": "50m"}}),
        ("cpu_quota: 3000\ncpu_period: 2000", {"limits": {"cpu": "1500m"}, "requests": {"cpu": "50m"}}),
        ("cpu_quota: -1", None),
        ("cpu_shares: 512", {"requests": {"cpu": "500m"}}),
        ("cpu_shares: 2048\ncpus: 0.25", {"limits": {"cpu": "250m"}, "requests": {"cpu": "250m"}}),
        ("storage_opt: {size: 2g}", {"limits": {"ephemeral-storage": "2Gi"}}),
    ],
)  # fmt: skip
def test_limits_and_requests(lines: str, found: dict[str, dict[str, str]] | None) -> None:
    result = service(lines)
    assert codes(accepted(result)) == []
    assert container(result).get("resources") == found


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("cpu_quota: 50000\ncpus: 2", "CMP260"),
        ("cpu_quota: much", "CMP004"),
        ("storage_opt: {size: much}", "CMP004"),
    ],
)
def test_what_cannot_be_taken(lines: str, code: str) -> None:
    assert errors(service(lines)) == [code]


@pytest.mark.parametrize(
    ("lines", "code"),
    [("storage_opt: {dm.fs: x}", "CMP402"), ("shm_size: 64m\nmem_limit: 64m", "CMP260")],
)
def test_what_is_taken_with_a_difference(lines: str, code: str) -> None:
    assert codes(accepted(service(lines)), Severity.WARNING) == [code]
