"""The agent's side of the link: dial, prove who we are, take commands and streams, say what is so."""

from skerry.wire.data import StreamData

from agent.link.counters import LinkCounts
from agent.link.enrol import enrol
from agent.link.errors import (
    EnrolmentError,
    IdentityError,
    JournalError,
    LinkError,
    LinkRefused,
    StreamError,
)
from agent.link.handlers import (
    CommandHandler,
    CommandHandlers,
    Progress,
    Stream,
    StreamHandler,
    StreamHandlers,
)
from agent.link.identity import Identity, IdentityStore
from agent.link.journal import Journal
from agent.link.link import Link, LinkState
from agent.link.renewal import Renewer
from agent.link.reports import ReportBoard
from agent.link.roots import read_proxy_ca

__all__ = [
    "CommandHandler",
    "CommandHandlers",
    "EnrolmentError",
    "Identity",
    "IdentityError",
    "IdentityStore",
    "Journal",
    "JournalError",
    "Link",
    "LinkCounts",
    "LinkError",
    "LinkRefused",
    "LinkState",
    "Progress",
    "Renewer",
    "ReportBoard",
    "Stream",
    "StreamData",
    "StreamError",
    "StreamHandler",
    "StreamHandlers",
    "enrol",
    "read_proxy_ca",
]
