"""Variables: names with values at a place, of which the nearest wins. Pure; used by services and the store.

A scope is the name of the resource that a variable is set at: an organization, a project, an environment or an app.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controlplane.domain.errors import FieldViolation, InvalidField, RequestTooLarge
from controlplane.domain.ids import APP_ID_MAX, check_id
from controlplane.domain.names import AppName, EnvironmentName, OrganizationName, ProjectName
from controlplane.domain.sealing import SealedValue

KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
VALUE_BYTES_MAX = 32 * 1024
# At one scope. With four scopes and what a deploy brings, a command stays well below what the link takes.
SCOPE_COUNT_MAX = 250
SCOPE_BYTES_MAX = 128 * 1024
_VIOLATIONS_MAX = 20

ScopeName = OrganizationName | ProjectName | EnvironmentName | AppName
_SHAPES: Mapping[int, type[ScopeName]] = {
    2: OrganizationName,
    4: ProjectName,
    6: EnvironmentName,
    8: AppName,
}


@dataclass(frozen=True, slots=True)
class Variable:
    """What may be told of a variable; a secret's `value` is always empty, a plain one's where values are not asked for."""

    uid: str
    scope: str
    key: str
    secret: bool
    version: int
    key_id: str
    size: int
    updated_by: str
    create_time: datetime
    update_time: datetime
    value: str = field(default="", repr=False)
    # Why the value cannot be decrypted; only where it was tried.
    problem: str = ""

    @property
    def name(self) -> str:
        return f"{self.scope}/variables/{self.key}"

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-{self.version}"


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """A variable with its encrypted value."""

    variable: Variable
    sealed: SealedValue

    @property
    def bound_to(self) -> str:
        """What its value is encrypted for: this row, this place, this name, and for a secret that it is one, so that nobody who
        can write the database makes it a plain one and has it read out."""
        v = self.variable
        return variable_bound_to(v.uid, v.scope, v.key, secret=v.secret)


@dataclass(frozen=True, slots=True)
class VariableValue:
    """What to set a variable to; see `platform.v1.VariableValue`."""

    key: str
    value: str = field(repr=False)
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Effective:
    """A variable that wins, and those further away that it hides, the nearest first."""

    variable: StoredVariable
    shadowed: tuple[StoredVariable, ...] = ()


@dataclass(frozen=True, slots=True)
class VariableSource:
    """Where a revision's variable came from: the scope and version of the one that won, or neither when the deploy brought it."""

    key: str
    secret: bool
    scope: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class SealedVariables:
    """A revision's variables as they are kept: where each came from, and all values in one box; no box when there are none."""

    sources: tuple[VariableSource, ...] = ()
    sealed: SealedValue | None = None


def parse_scope(text: str, field: str = "parent") -> ScopeName:
    """The name of a resource that variables can be set at. Raises InvalidField."""
    shape = _SHAPES.get(len(text.split("/")) if text else 0)
    if shape is None:
        raise InvalidField.of(
            field, "must name an organization, a project, an environment or an app"
        )
    scope = shape.parse(text, field)
    if isinstance(scope, AppName):
        check_id(field, scope.app, APP_ID_MAX)
    return scope


def scopes_of(place: str) -> tuple[str, ...]:
    """The place and all that it lies in, outermost first."""
    segments = place.split("/")
    return tuple("/".join(segments[:end]) for end in range(2, len(segments) + 1, 2))


def effective(variables: Iterable[StoredVariable], place: str) -> Sequence[Effective]:
    """What holds at the place, by key: of each key the variable of the nearest scope. Others than those of its scopes are ignored."""
    rank = {scope: depth for depth, scope in enumerate(scopes_of(place))}
    by_key: dict[str, list[StoredVariable]] = {}
    for stored in variables:
        if stored.variable.scope in rank:
            by_key.setdefault(stored.variable.key, []).append(stored)
    found = []
    for _, candidates in sorted(by_key.items()):
        winner, *rest = sorted(candidates, key=lambda item: -rank[item.variable.scope])
        found.append(Effective(winner, tuple(rest)))
    return found


def check_values(values: Sequence[VariableValue], field: str) -> None:
    """Raise InvalidField naming all that is wrong with what is to be set; values stay out of it."""
    if not values:
        raise InvalidField.of(field, "is required: at least one")
    if len(values) > SCOPE_COUNT_MAX:
        raise RequestTooLarge(f"at most {SCOPE_COUNT_MAX} variables can be set at once")
    violations = _key_violations([item.key for item in values], f"{field}[{{}}].key")
    for index, item in enumerate(values):
        size = len(item.value.encode("utf-8", "surrogatepass"))
        if "\0" in item.value or size > VALUE_BYTES_MAX:
            why = f"must have no NUL and at most {VALUE_BYTES_MAX} bytes; this has {size}"
            violations.append(FieldViolation(f"{field}[{index}].value", why))
    if violations:
        raise InvalidField(violations[:_VIOLATIONS_MAX])


def check_keys(keys: Sequence[str], field: str = "keys") -> None:
    """Raise InvalidField naming all that is wrong with keys to be deleted."""
    if not keys:
        raise InvalidField.of(field, "is required: at least one")
    if len(keys) > SCOPE_COUNT_MAX:
        raise RequestTooLarge(f"at most {SCOPE_COUNT_MAX} variables can be deleted at once")
    if violations := _key_violations(keys, f"{field}[{{}}]"):
        raise InvalidField(violations[:_VIOLATIONS_MAX])


def check_scope(scope: str, variables: Iterable[Variable]) -> None:
    """Raise RequestTooLarge when more is set at a scope than it holds."""
    found = list(variables)
    total = sum(len(item.key) + item.size for item in found)
    if len(found) > SCOPE_COUNT_MAX or total > SCOPE_BYTES_MAX:
        raise RequestTooLarge(
            f"{scope} would have {len(found)} variables of {total} bytes; at most {SCOPE_COUNT_MAX} of {SCOPE_BYTES_MAX} "
            "bytes together are kept at one resource: delete some, or put large ones into files"
        )


def _key_violations(keys: Sequence[str], at: str) -> list[FieldViolation]:
    violations = []
    seen: set[str] = set()
    for index, key in enumerate(keys):
        if KEY.fullmatch(key) is None:
            why = f"{key[:128]!r} is not a variable's name: letters, digits and _, not starting with a digit, at most 128"
            violations.append(FieldViolation(at.format(index), why))
        elif key in seen:
            violations.append(FieldViolation(at.format(index), f"{key} is there twice"))
        seen.add(key)
    return violations


def variable_bound_to(uid: str, scope: str, key: str, *, secret: bool) -> str:
    """See StoredVariable.bound_to."""
    return f"variable:{uid}:{scope}:{key}:{'secret' if secret else 'plain'}"


def bound_to_revision(app_uid: str, revision: int) -> str:
    """What the box of a revision's variables is encrypted for."""
    return f"revision:{app_uid}:{revision}"


def pack(values: Mapping[str, str]) -> bytes:
    """A revision's variables as one value to encrypt."""
    return json.dumps(dict(values), separators=(",", ":"), sort_keys=True).encode()


def unpack(packed: bytes) -> Mapping[str, str]:
    """What `pack` was given."""
    values: dict[str, str] = json.loads(packed)
    return values
