"""What a stream says when the use case behind it fails."""

from __future__ import annotations

from agent.handlers.redaction import Redaction
from agent.kube.errors import KubeError
from agent.link.errors import StreamError
from agent.workloads.errors import WorkloadError, outcome_of

_NOTHING = Redaction({})


def stream_error(error: WorkloadError | KubeError, redaction: Redaction = _NOTHING) -> StreamError:
    """The error in the stream's words, without the values of secrets."""
    outcome = outcome_of(error)
    return StreamError(outcome.code, outcome.reason, redaction.text(outcome.message))
