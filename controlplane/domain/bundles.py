"""What a compose project as sent must look like before anybody reads it. Called by the apps' services.

The limits keep a revision's row and an agent's command small; `docs/compose.md` gives them to users.
"""

import re
from collections.abc import Mapping

from controlplane.domain.apps import Bundle
from controlplane.domain.errors import FieldViolation, InvalidField, RequestTooLarge

TOTAL_BYTES_MAX = 1024 * 1024
FILES_MAX = 200
COMPOSE_FILES_MAX = 20
PATH_MAX = 255
PATH_DEPTH_MAX = 16
VARIABLES_MAX = 500
VARIABLE_BYTES_MAX = 32 * 1024
VARIABLES_BYTES_MAX = 256 * 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_VIOLATIONS_MAX = 20


def check_bundle(bundle: Bundle, field: str = "bundle") -> None:
    """Raise RequestTooLarge when the limits are exceeded, InvalidField naming all that is wrong otherwise."""
    _check_sizes(bundle)
    violations = [
        *_file_violations(bundle, field),
        *_compose_file_violations(bundle, field),
        *_variable_violations(bundle.variables, f"{field}.variables"),
        *_variable_violations(bundle.default_variables, f"{field}.default_variables"),
    ]
    if violations:
        raise InvalidField(violations[:_VIOLATIONS_MAX])


def _check_sizes(bundle: Bundle) -> None:
    if len(bundle.files) > FILES_MAX:
        raise RequestTooLarge(
            f"the bundle has {len(bundle.files)} files; at most {FILES_MAX} are allowed: "
            "send only the files that the compose files name"
        )
    total = sum(len(file.content) for file in bundle.files)
    if total > TOTAL_BYTES_MAX:
        largest = max(bundle.files, key=lambda file: len(file.content))
        raise RequestTooLarge(
            f"the bundle's files have {total} bytes; at most {TOTAL_BYTES_MAX} are allowed; "
            f"the largest is {largest.path[:PATH_MAX]!r} with {len(largest.content)}"
        )
    both = (bundle.variables, bundle.default_variables)
    count = sum(len(given) for given in both)
    size = sum(
        len(name.encode()) + len(value.encode()) for given in both for name, value in given.items()
    )
    if count > VARIABLES_MAX or size > VARIABLES_BYTES_MAX:
        raise RequestTooLarge(
            f"the bundle has {count} variables of {size} bytes; "
            f"at most {VARIABLES_MAX} of {VARIABLES_BYTES_MAX} bytes together are allowed"
        )


def _file_violations(bundle: Bundle, field: str) -> list[FieldViolation]:
    if not bundle.files:
        return [FieldViolation(f"{field}.files", "is required: at least one compose file")]
    violations = []
    seen: set[str] = set()
    for index, file in enumerate(bundle.files):
        problem = path_problem(file.path)
        if problem is None and file.path in seen:
            problem = f"{file.path!r} is there twice"
        if problem is not None:
            violations.append(FieldViolation(f"{field}.files[{index}].path", problem))
        seen.add(file.path)
    folders = {
        "/".join(parts[:depth])
        for parts in (path.split("/") for path in seen)
        for depth in range(1, min(len(parts), PATH_DEPTH_MAX + 1))
    }
    for index, file in enumerate(bundle.files):
        if file.path in folders:
            violations.append(
                FieldViolation(
                    f"{field}.files[{index}].path", f"{file.path!r} is a file and a folder"
                )
            )
    return violations


def path_problem(path: str) -> str | None:
    """What is wrong with a path inside a bundle, or None."""
    if not path:
        return "is required"
    if len(path) > PATH_MAX:
        return f"is {len(path)} characters long; at most {PATH_MAX} are allowed"
    if path.startswith("/") or "\\" in path or not path.isprintable():
        return f"{path!r} must be relative to the project's folder, with / between its parts"
    parts = path.split("/")
    if len(parts) > PATH_DEPTH_MAX:
        return f"{path!r} is nested deeper than {PATH_DEPTH_MAX} folders"
    if any(part in ("", ".", "..") for part in parts):
        return f"{path!r} must not have empty parts, . or .."
    return None


def _compose_file_violations(bundle: Bundle, field: str) -> list[FieldViolation]:
    at = f"{field}.compose_files"
    if not bundle.compose_files:
        return [FieldViolation(at, "is required: the paths of the compose files, in order")]
    if len(bundle.compose_files) > COMPOSE_FILES_MAX:
        return [FieldViolation(at, f"has more than {COMPOSE_FILES_MAX} paths")]
    violations = []
    paths = {file.path for file in bundle.files}
    for index, path in enumerate(bundle.compose_files):
        if path not in paths:
            violations.append(
                FieldViolation(f"{at}[{index}]", f"{path[:PATH_MAX]!r} is not among the files")
            )
        elif path in bundle.compose_files[:index]:
            violations.append(FieldViolation(f"{at}[{index}]", f"{path!r} is there twice"))
    return violations


def _variable_violations(variables: Mapping[str, str], field: str) -> list[FieldViolation]:
    violations = []
    for name, value in variables.items():
        at = f"{field}[{name[:128]!r}]"
        if _VARIABLE.fullmatch(name) is None:
            violations.append(
                FieldViolation(
                    at, "is not a variable's name: letters, digits and _, not starting with a digit"
                )
            )
        if "\0" in value or len(value.encode()) > VARIABLE_BYTES_MAX:
            violations.append(
                FieldViolation(at, f"must have no NUL and at most {VARIABLE_BYTES_MAX} bytes")
            )
    return violations
