"""The authority in use and, while the operator changes it, the next one. Opened by `app.py`; `ca rotate` moves it on.

A change has two steps, and both live on disk alone, so that a restart at any moment goes on where things stood:

1. `begin` makes the next authority in `next/`. Agents are signed by it from then on and trust both, the servers still show a
   certificate of the old one: who was away meanwhile, and knows only that one, comes back.
2. `finish` puts the next authority in the old one's place. Servers show its certificate, the old one counts for nothing.
"""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from controlplane.pki import files
from controlplane.pki.authority import (
    AgentCertificate,
    CertificateAuthority,
    Clock,
    ServerIdentity,
)
from controlplane.pki.errors import AnotherAuthority, RotationError

_NAMES = ("ca.key", "ca.crt")


class Authorities:
    """Of one directory. Another process may move it on: `reload` looks."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._current: CertificateAuthority
        self._next: CertificateAuthority | None
        self._load()

    @classmethod
    def open(cls, directory: Path, *, clock: Clock) -> Self:
        """Reads the authorities, making the first one on the first start. Raises KeyMaterialError."""
        return cls(directory, clock)

    @property
    def current(self) -> CertificateAuthority:
        """Signs the servers; a new agent's first connection trusts it."""
        return self._current

    @property
    def next(self) -> CertificateAuthority | None:
        """Takes over when the change is finished; None while there is no change."""
        return self._next

    @property
    def signing(self) -> CertificateAuthority:
        """Signs the agents."""
        return self._next or self._current

    @property
    def trusted_der(self) -> tuple[bytes, ...]:
        """What agents are to trust."""
        return tuple(authority.certificate_der for authority in self._all)

    @property
    def certificate_der(self) -> bytes:
        """Of the current one."""
        return self._current.certificate_der

    def issue_server(self, names: Sequence[str], *, ttl: datetime.timedelta) -> ServerIdentity:
        """By the current one."""
        return self._current.issue_server(names, ttl=ttl)

    def verify_agent(
        self, certificate_der: bytes, *, grace: datetime.timedelta
    ) -> AgentCertificate:
        """As `CertificateAuthority.verify_agent`, by any of them."""
        for authority in self._all[:-1]:
            try:
                return authority.verify_agent(certificate_der, grace=grace)
            except AnotherAuthority:
                continue
        return self._all[-1].verify_agent(certificate_der, grace=grace)

    def reload(self) -> bool:
        """Looks at the disk again; whether anything is another. Raises KeyMaterialError."""
        before = self.trusted_der
        self._load()
        return self.trusted_der != before

    def begin(self) -> None:
        """Makes the next authority. Raises RotationError when there is one, KeyMaterialError."""
        if self._next is not None:
            raise RotationError(
                "a change of the CA is under way already; end it with `skerry-controlplane ca rotate --finish`"
            )
        self._next = CertificateAuthority.open(self._directory / "next", clock=self._clock)

    def finish(self) -> None:
        """The next authority takes over. Raises RotationError when there is none, KeyMaterialError."""
        if self._next is None:
            raise RotationError("no change of the CA is under way; `ca rotate` begins one")
        with files.exclusive(self._directory):
            files.write_atomically(self._mark, b"", mode=0o600)
            self._replace()
        self._load()

    @property
    def _all(self) -> tuple[CertificateAuthority, ...]:
        return (self._current,) if self._next is None else (self._current, self._next)

    @property
    def _mark(self) -> Path:
        """There from the decision to finish until the files are in place."""
        return self._directory / "finishing"

    def _load(self) -> None:
        files.prepare_directory(self._directory)
        with files.exclusive(self._directory):
            if self._mark.exists():
                self._replace()
        self._current = CertificateAuthority.open(self._directory, clock=self._clock)
        # The certificate is written last: without it nothing was signed by this key.
        begun = (self._directory / "next" / "ca.crt").exists()
        self._next = (
            CertificateAuthority.open(self._directory / "next", clock=self._clock)
            if begun
            else None
        )

    def _replace(self) -> None:
        """Repeatable: a crash in the middle leaves the mark, and the next start comes here again."""
        ahead = self._directory / "next"
        if all((ahead / name).exists() for name in _NAMES):
            for name, mode in zip(_NAMES, (0o600, 0o644), strict=True):
                files.write_atomically(self._directory / name, files.read(ahead / name), mode=mode)
        for name in _NAMES:
            (ahead / name).unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)
