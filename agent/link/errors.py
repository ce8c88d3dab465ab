"""The agent link's error tree: what a stream handler raises, and what ends the link for good."""

from __future__ import annotations


class LinkError(Exception):
    """Anything that goes wrong between the agent and the control plane."""


class StreamError(LinkError):
    """Raised by a stream handler to end its stream with a status the caller sees.

    `code` is a canonical gRPC code (5 is NOT_FOUND), `reason` the name of a
    `skerry.platform.v1.ErrorReason` without its prefix, `message` is for people and says the way out.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


class EnrolmentError(LinkError):
    """Joining failed. The message is one sentence for the operator, with the way out."""


class IdentityError(LinkError):
    """The identity on disk is missing or damaged. The message says the way out."""


class JournalError(LinkError):
    """The journal cannot be read or written (damaged, disk full). The message says the way out."""


class LinkRefused(LinkError):
    """The control plane does not want this agent back. The message says why and the way out."""
