"""Who this agent is at start: the identity on disk, or a new one for the join token. Called by `app`."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import structlog
from skerry.version import VERSION
from skerry.wire.join_token import JoinToken, JoinTokenError

from agent.link import EnrolmentError, Identity, IdentityError, IdentityStore, enrol, read_proxy_ca
from agent.settings import AgentSettings

log = structlog.get_logger(__name__)

_JOINED_WITH = "joined-with"
_WAY_OUT = "make one with `skerry cluster join-token` and give it with --join-token-file"


async def identify(settings: AgentSettings) -> Identity:
    """The identity to link with.

    A token is used when there is no identity, or when it is another one than the identity was made
    with: that is how an operator says "join again". Raises EnrolmentError or IdentityError.
    """
    store = IdentityStore(settings.state_dir)
    identity = store.load()
    token = _token(settings, needed=identity is None)
    if identity is not None and (token is None or not _is_new(settings.state_dir, token)):
        return identity
    if token is None:
        raise EnrolmentError(
            f"this agent has not joined a control plane, and has no join token; {_WAY_OUT}"
        )
    try:
        decoded = JoinToken.decode(token)
    except JoinTokenError as error:
        raise EnrolmentError(str(error)) from error
    _check_writable(settings.state_dir)  # before the token is used up
    joined = await enrol(
        decoded,
        store,
        agent_version=VERSION,
        proxy_ca_pem=read_proxy_ca(settings.proxy_ca_file),
    )
    _remember(settings.state_dir, token)
    if identity is not None:
        log.info("agent_joined_again", before=identity.cluster, now=joined.cluster)
    return joined


def _token(settings: AgentSettings, *, needed: bool) -> str | None:
    if settings.join_token is not None:
        return settings.join_token.get_secret_value().strip()
    file = settings.join_token_file
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        if not needed:  # joined already: the token has done its work, and may be gone
            return None
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise EnrolmentError(
            f"cannot read the join token from {file}: {reason}; {_WAY_OUT}"
        ) from error


def _is_new(state_dir: Path, token: str) -> bool:
    try:
        known = (state_dir / _JOINED_WITH).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return known != _digest(token)


def _remember(state_dir: Path, token: str) -> None:
    try:
        (state_dir / _JOINED_WITH).write_text(_digest(token), encoding="ascii")
    except OSError as error:
        # The identity is safe; only a later change of the token will not be noticed.
        log.warning("join_token_not_remembered", error=str(error))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _check_writable(state_dir: Path) -> None:
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=state_dir) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise IdentityError(
            f"the state directory {state_dir} cannot be written: {error.strerror}; "
            "make room, fix its owner, or choose another with --state-dir"
        ) from error
