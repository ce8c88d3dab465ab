"""From an API server's answer to the error it means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kube.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    ModifiedError,
    NamespaceTerminatingError,
    NotFoundError,
    PodSecurityError,
    QuotaExceededError,
    ServerError,
    ThrottledError,
    UnauthorizedError,
    blank_values,
    from_response,
)


def answer(message: str, reason: str = "", causes: list[dict[str, str]] | None = None) -> bytes:
    status: dict[str, Any] = {"kind": "Status", "message": message, "reason": reason}
    if causes is not None:
        status["details"] = {"causes": causes}
    return json.dumps(status).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, answer("bad"), InvalidError),
        (401, answer("Unauthorized"), UnauthorizedError),
        (403, answer("no"), ForbiddenError),
        (403, answer('pods "a" is forbidden: exceeded quota: q, requested: …'),
         QuotaExceededError),
        (403, answer('pods "a" is forbidden: violates PodSecurity "baseline"'), PodSecurityError),
        (403, answer("x", "Forbidden", [{"reason": "NamespaceTerminating"}]),
         NamespaceTerminatingError),
        (404, answer("not there", "NotFound"), NotFoundError),
        (409, answer("there", "AlreadyExists"), AlreadyExistsError),
        (409, answer("the object has been modified", "Conflict"), ModifiedError),
        (410, answer("too old", "Expired"), GoneError),
        (422, answer("bad", "Invalid"), InvalidError),
        (429, answer("slow down"), ThrottledError),
        (500, answer("etcd is gone"), ServerError),
        (500, answer("failed to create typed patch object (a): .b: not declared"), InvalidError),
        (503, b"upstream connect error", ServerError),
        (418, b"", KubeError),
    ],
)  # fmt: skip
def test_an_answer_means_an_error(status: int, body: bytes, kind: type[KubeError]) -> None:
    error = from_response(status, body, "apply it")
    assert type(error) is kind
    assert error.status == status
    assert str(error).startswith("apply it")


def test_a_conflict_lists_owners_and_fields() -> None:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-edit" using apps/v1 at 2026-11-23T14:00:00Z',
            "field": ".spec.replicas",
        },
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "helm"',
            "field": ".spec.template",
        },
    ]
    error = from_response(409, answer("Apply failed", "Conflict", causes), "apply Deployment web")
    assert isinstance(error, ConflictError)
    assert error.owner == "kubectl-edit, helm"
    assert error.fields == (".spec.replicas", ".spec.template")
    assert ".spec.replicas is managed by kubectl-edit" in str(error)


@pytest.mark.parametrize(
    ("message", "immutable"),
    [
        ("spec.selector: Invalid value: {}: field is immutable", True),
        ("spec.clusterIPs[0]: Invalid value: []: may not change once set", True),
        ("spec.replicas: Invalid value: -1: must be greater than or equal to 0", False),
    ],
)
def test_immutable_fields_are_told_apart(message: str, immutable: bool) -> None:
    error = from_response(422, answer(message, "Invalid"), "apply it")
    assert isinstance(error, InvalidError)
    assert error.immutable is immutable


def test_one_cause_that_is_not_about_immutability_is_enough() -> None:
    causes = [
        {"field": "a", "message": "field is immutable"},
        {"field": "b", "message": "required"},
    ]
    error = from_response(422, answer("both", "Invalid", causes), "apply it")
    assert isinstance(error, InvalidError)
    assert not error.immutable


@given(st.text(alphabet=st.characters(exclude_characters='"\\'), min_size=8))
def test_values_are_blanked(value: str) -> None:
    text = f'data.key: Invalid value: "{value}": must be base64'
    assert blank_values(text) == "data.key: Invalid value: <hidden>: must be base64"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff\xfe", b"<html>", b'"text"'])
def test_an_answer_that_is_no_status_still_makes_an_error(body: bytes) -> None:
    message = str(from_response(503, body, "read it"))
    assert len(message) > len("read it: ")


def test_a_huge_answer_is_cut() -> None:
    assert len(str(from_response(500, answer("x" * 1_000_000), "read it"))) < 5_000
