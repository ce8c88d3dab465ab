"""No value of a secret is said, in whatever form."""

import base64
import json
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from skerry.agent.v1 import command_pb2, stream_pb2

from agent.handlers.redaction import SHORTEST, Redaction

VALUES = st.text(min_size=SHORTEST, max_size=40).filter(lambda text: len(text.strip()) >= SHORTEST)


@given(VALUES, st.text(alphabet="xyz \n", max_size=20), st.text(alphabet="xyz \n", max_size=20))
def test_a_value_goes_in_every_form(value: str, before: str, after: str) -> None:
    redaction = Redaction({"TOKEN": value})
    for form in (
        value,
        json.dumps(value)[1:-1],
        base64.b64encode(value.encode()).decode(),
        quote(value, safe=""),
    ):
        said = redaction.text(f"{before}{form}{after}")
        assert "<secret TOKEN>" in said
        rest = said.replace("<secret TOKEN>", "")
        assert form.strip() not in rest or set(form) <= set("xyz \n")


@pytest.mark.parametrize(
    "value",
    [
        'it\'s a "quoted" value: with # all',
        "long " * 40 + "end",
        "-----BEGIN KEY-----\nMIIabc+/=\nsecondline==\n-----END KEY-----\n",
        "ümläut $HOME `id`",
    ],
)
def test_a_value_goes_from_yaml(value: str) -> None:
    manifest = {
        "spec": {"containers": [{"args": [value], "env": {"A": f"postgres://u:{value}@h"}}]}
    }
    for text in (yaml.safe_dump(manifest), yaml.safe_dump(manifest, allow_unicode=True, width=40)):
        said = Redaction({"TOKEN": value}).text(text)
        for word in (part for part in value.split() if len(part) > 6):
            assert word not in said, said


def test_every_text_of_a_message_is_looked_through() -> None:
    secret = "hunter2-hunter2"
    plan = stream_pb2.PlanResult(
        manifests=f"a: {secret}",
        public_host=secret,
        diagnostics=[command_pb2.Diagnostic(message=f"{secret} is no port", hint=secret)],
        services=[stream_pb2.CheckedService(image=secret, depends_on=["db", secret])],
    )
    Redaction({"PASSWORD": secret}).apply(plan)
    assert secret not in str(plan)
    assert plan.diagnostics[0].message == "<secret PASSWORD> is no port"
    assert list(plan.services[0].depends_on) == ["db", "<secret PASSWORD>"]


def test_the_longest_value_counts_and_plain_ones_stay() -> None:
    deploy = command_pb2.DeployApp(
        variables={"A": "hunter2", "B": "hunter2-longer", "PLAIN": "visible", "SHORT": "abc"},
        secret_variables=["A", "B", "SHORT", "GONE"],
    )
    said = Redaction.of(deploy).text("hunter2-longer hunter2 visible abc")
    assert said == "<secret B> <secret A> visible abc"
