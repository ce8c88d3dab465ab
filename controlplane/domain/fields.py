"""Checks of request fields that several resources share."""

from controlplane.domain.errors import InvalidField

DISPLAY_NAME_MAX = 100


def check_display_name(value: str) -> str:
    """A name for people: one line, at most 100 characters. Raises InvalidField."""
    if len(value) > DISPLAY_NAME_MAX:
        raise InvalidField.of(
            "display_name",
            f"is {len(value)} characters long; at most {DISPLAY_NAME_MAX} are allowed",
        )
    if not value.isprintable():
        raise InvalidField.of("display_name", "must be one line of printable characters")
    return value
