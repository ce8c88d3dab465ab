"""Any bytes in, a plan or diagnostics out: never an exception, bounded work."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.compose import Context, Limits, Plan, SourceFile, plan
from agent.compose import keys as table
from tests.unit.compose.cost import calls
from tests.unit.compose.helpers import CONTEXT, codes

MOST_CALLS = 50_000

KEYS = sorted({part for key in table.table() for part in key.path.split(".")} - {"*", "[]"})
WORDS = [
    *("", "~", "true", "no", "0", "80", "8080:80", "./x:/y", "v:/data", "/a", "a=b", "1m", "1g"),
    *("${A}", "${A:-b}", "${A:?e}", "$$", "${", "host", "service:web", "on-failure:3", "\x00", "ä"),
    *("[::1]:80:80", "2222-2230:22-30", "db", "web", "CMD", "NONE", "!reset", "<<", "always", ".."),
]
LEAVES = (
    st.sampled_from(WORDS) | st.integers() | st.booleans() | st.none() | st.floats() | st.text()
)
TREES = st.recursive(
    LEAVES,
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), below, max_size=5)
    ),
    max_leaves=20,
)
SERVICES = st.dictionaries(
    st.sampled_from(["web", "db", "my_db", "A", "1"]),
    st.dictionaries(st.sampled_from(KEYS), TREES, max_size=6),
    max_size=3,
)
RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def run(content: bytes, context: Context = CONTEXT) -> Plan:
    return plan([SourceFile("compose.yml", content)], context)


def within(most: int, content: bytes, context: Context = CONTEXT) -> Plan:
    """The plan, made with at most so many calls."""
    found: list[Plan] = []
    calls(lambda: found.append(run(content, context)), most)
    return found[0]


def flow(value: object) -> str:
    """A value as YAML flow text, quoting whatever is text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    if isinstance(value, str):
        escaped = "".join(
            c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value
        )
        return f'"{escaped}"'
    return "null" if value is None else str(value).lower()


@RELAXED
@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    assert run(content).rejected


@RELAXED
@given(st.text(max_size=400))
def test_any_text(content: str) -> None:
    assert isinstance(run(content.encode("utf-8", "surrogatepass")), Plan)


@RELAXED
@given(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=4), SERVICES)
def test_any_tree_of_known_keys(top: dict, services: dict) -> None:
    assert isinstance(run(flow({**top, "services": services}).encode()), Plan)


@RELAXED
@given(SERVICES, SERVICES)
def test_any_two_files(first: dict, second: dict) -> None:
    sources = [
        SourceFile(name, flow({"services": services}).encode())
        for name, services in (("a.yml", first), ("b.yml", second))
    ]
    assert plan(sources, CONTEXT) == plan(sources, CONTEXT)


@RELAXED
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30)), st.binary(max_size=200))
def test_any_variables_and_env_file(variables: dict, env: bytes) -> None:
    context = Context(
        app="a", namespace="n", variables=variables, files={".env": env, "x.env": env}
    )
    text = b"services: {web: {image: a, env_file: [x.env], environment: [A, 'B=${A:-$B}']}}"
    assert isinstance(run(text, context), Plan)


def _bomb() -> bytes:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    return "\n".join(rows).encode()


def _env_bomb() -> bytes:
    services = "\n".join(f"  s{i}: {{image: a, environment: *e}}" for i in range(150))
    return f"x-e: &e {{A: '{'$${{B}}' * 20_000}'}}\nservices:\n{services}".encode()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "CMP020"),
        (b"\n# only a comment\n", "CMP020"),
        (b"---\n---\n", "CMP020"),
        (b"services:", "CMP005"),
        (b"services: {}", "CMP005"),
        (b"services: [a]", "CMP003"),
        (b"- a", "CMP003"),
        (b"just text", "CMP003"),
        (b"x: " + b"[" * 100_000, "CMP013"),
        (b"x: " + b"{a: " * 5_000, "CMP013"),
        (_bomb(), "CMP014"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "CMP011"),
        (b"\xff\xfes\x00e\x00", "CMP011"),
        ("services: é".encode("latin-1"), "CMP010"),
        (b"services: {web: {image: a}}\n" + b"# filler\n" * 1_200_000, "CMP012"),
        (b"a: b: c", "CMP015"),
        (b"a:\n\t- b", "CMP015"),
        (b"a: 'open", "CMP015"),
        (b"a: *nobody", "CMP018"),
        (b"a: &a [*a]", "CMP018"),
        (b"a: &s [x]\nb: {<<: *s}", "CMP019"),
        (b"a: !python/object:os.system x", "CMP021"),
        (b"? [a]\n: b", "CMP017"),
        (b"web:\n  image: nginx", "CMP022"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unusable_files_give_one_clear_error(content: bytes, code: str) -> None:
    result = within(5_000, content)
    assert codes(result) == [code]
    assert result.waves == ()


def test_no_files_at_all() -> None:
    assert codes(plan([], CONTEXT)) == ["CMP020"]


def test_a_byte_order_mark_is_no_content() -> None:
    assert not run(b"\xef\xbb\xbfservices: {web: {image: a}}").rejected


def test_many_findings_are_counted_not_kept() -> None:
    unknown = "".join(f"  k{i}: 1\n" for i in range(5_000))
    result = within(
        1_000_000, f"services: {{web: {{image: a}}}}\nx: {{}}\nnetworks:\n{unknown}".encode()
    )
    assert len(result.diagnostics) == Limits().diagnostics + 1
    assert result.diagnostics[-1].code == "CMP099"


def test_aliases_of_long_text_are_bounded() -> None:
    assert within(MOST_CALLS, _env_bomb()).rejected


def test_variables_that_multiply_are_bounded() -> None:
    env = b"A=" + b"x" * 100 + b"\n" + b"".join(
        b"V%d=%s\n" % (i, b"${V%d}" % (i - 1) * 50 if i else b"${A}") for i in range(10)
    )  # fmt: skip
    result = within(
        MOST_CALLS,
        b"services: {web: {image: a, environment: ['X=${V9}']}}",
        Context(app="a", namespace="n", files={".env": env}),
    )
    assert result.rejected


@pytest.mark.parametrize("app", ["", "Upper", "a" * 41, "-a", "a_b", "ä"])
def test_the_name_of_the_app_is_checked(app: str) -> None:
    context = Context(app=app, namespace="n")
    assert codes(run(b"services: {web: {image: a}}", context)) == ["CMP009"]
