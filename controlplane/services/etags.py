"""Optimistic concurrency: a caller says which state of a resource it saw."""

from controlplane.domain.errors import EtagMismatch


def check_etag(given: str, current: str, resource_name: str) -> None:
    """Raise EtagMismatch unless the etag given is empty or the current one."""
    if given and given != current:
        raise EtagMismatch(
            f"{resource_name} was changed since etag {given!r}: read it again and repeat the call",
            metadata={"resource": resource_name},
        )
