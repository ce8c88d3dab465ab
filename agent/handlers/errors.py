"""What a stream says when the use case behind it fails."""

from __future__ import annotations

from agent.kube.errors import KubeError
from agent.link.errors import StreamError
from agent.workloads.errors import WorkloadError, outcome_of


def stream_error(error: WorkloadError | KubeError) -> StreamError:
    outcome = outcome_of(error)
    return StreamError(outcome.code, outcome.reason, outcome.message)
