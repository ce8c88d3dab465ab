"""What an end of the link says by name that it can do, so that the other uses it only then: Hello and Welcome carry the names.

The protocol's version says what frames mean; a capability says that a frame, or a field of one, is worth sending. An end without
it is served as the first release was. A name is never given another meaning. Used by both ends.
"""

from __future__ import annotations

from collections.abc import Sequence

RESUME_EXEC = "resume-exec"
"""Agent: keeps a command with a session over a cut of the link, and takes `ResumeExec`."""

OF_AGENT = (RESUME_EXEC,)
OF_CONTROL_PLANE: tuple[str, ...] = (RESUME_EXEC,)

_MOST = 32
_LENGTH = 64


def named(capabilities: Sequence[str]) -> tuple[str, ...]:
    """What the peer names, bounded: it is kept and shown. Names that nobody here knows are kept, too."""
    return tuple(sorted({name[:_LENGTH] for name in capabilities[:_MOST]}))
