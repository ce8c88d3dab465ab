"""What an agent says about a compose project reaches the caller field by field."""

from __future__ import annotations

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from skerry.agent.v1 import stream_pb2
from skerry.platform.v1 import app_pb2

from controlplane.api.convert import apps
from controlplane.link import codec

_ENUMS = {"error": "SEVERITY_ERROR", "update": "CHANGE_ACTION_UPDATE"}


def test_of_a_check() -> None:
    said = filled(stream_pb2.CheckResult())
    assert translated(said) == MessageToDict(apps.check(codec.check_result(said)))


def test_of_a_plan() -> None:
    said = filled(stream_pb2.PlanResult())
    assert translated(said) == MessageToDict(apps.plan(codec.plan_result(said)))


def test_of_an_agent_that_says_less() -> None:
    """Agents may be three versions older."""
    assert apps.check(codec.check_result(stream_pb2.CheckResult())) == app_pb2.CheckAppResponse()
    assert apps.plan(codec.plan_result(stream_pb2.PlanResult())) == app_pb2.PlanAppResponse()
    silent = stream_pb2.CheckResult(services=[stream_pb2.CheckedService(service="web")])
    (service,) = apps.check(codec.check_result(silent)).services
    assert not service.HasField("sleep_after_seconds")


def filled(message: Message) -> Message:
    """Every field set, each to another value, so that none can stand in for another."""
    for number, field in enumerate(message.DESCRIPTOR.fields, 1):
        if field.message_type is not None:
            filled(getattr(message, field.name).add())
        elif field.is_repeated:
            getattr(message, field.name).append(f"{field.name} {number}")
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, _word(field.name, number))
        elif field.type == field.TYPE_BOOL:
            setattr(message, field.name, True)
        else:
            setattr(message, field.name, number)
    return message


def _word(name: str, number: int) -> str:
    return {"severity": "error", "action": "update"}.get(name, f"{name} {number}")


def translated(message: Message) -> object:
    """The agent's words for what the API has enums for."""
    return _translated(MessageToDict(message))


def _translated(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: _ENUMS[item] if key in ("severity", "action") else _translated(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_translated(item) for item in value]
    return value
