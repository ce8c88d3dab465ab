"""Small grammars: ports, mounts, durations, sizes, CPU counts, command words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.compose.durations import SECOND, ceil_seconds, format_duration, parse_duration
from agent.compose.mounts import split_mount
from agent.compose.ports import PortParts, PortSyntaxError, pair, split_port
from agent.compose.sizes import cpu_quantity, parse_cpus, parse_size, quantity
from agent.compose.words import shell_operators, split_words

PORTS = st.integers(min_value=1, max_value=65_535).map(str)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("80", PortParts("80")),
        ("8080:80", PortParts("80", "8080")),
        ("127.0.0.1:8080:80", PortParts("80", "8080", "127.0.0.1")),
        ("127.0.0.1::80", PortParts("80", "", "127.0.0.1")),
        ("[::1]:6001:6001", PortParts("6001", "6001", "::1")),
        ("::1:6000:6000", PortParts("6000", "6000", "::1")),
        ("53:53/UDP", PortParts("53", "53", "", "udp")),
        ("3000-3005", PortParts("3000-3005")),
        ("8000-9000:80", PortParts("80", "8000-9000")),
    ],
)
def test_short_ports(text: str, parts: PortParts) -> None:
    assert split_port(text) == parts


@pytest.mark.parametrize(
    "text", ["", "a", "80:", "70000", "80/abc", "90-80", "-1", "8080:80:", "1:2:x"]
)
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(PortSyntaxError):
        split_port(text)


@given(PORTS, PORTS | st.just(""), st.sampled_from(["", "127.0.0.1", "::1", "fe80::1"]),
       st.sampled_from(["tcp", "udp", "sctp"]))  # fmt: skip
def test_ports_come_back(target: str, published: str, host_ip: str, protocol: str) -> None:
    parts = PortParts(target, published, host_ip, protocol)
    assert split_port(str(parts)) == parts


@pytest.mark.parametrize(
    ("target", "published", "pairs"),
    [
        ("80", "", [(80, "")]),
        ("80-82", "8080-8082", [(80, "8080"), (81, "8081"), (82, "8082")]),
        ("80", "8000-8010", [(80, "8000-8010")]),
        ("80-81", "", [(80, ""), (81, "")]),
    ],
)
def test_pairs(target: str, published: str, pairs: list[tuple[int, str]]) -> None:
    assert pair(target, published) == pairs


@pytest.mark.parametrize(
    ("target", "published"), [("80-82", "8080-8081"), ("0", ""), ("80-82", "9")]
)
def test_ranges_that_do_not_match(target: str, published: str) -> None:
    with pytest.raises(PortSyntaxError):
        pair(target, published)


@pytest.mark.parametrize(
    ("text", "source", "target", "bind"),
    [
        ("/data", "", "/data", False),
        ("v:/data", "v", "/data", False),
        ("./x:/y", "./x", "/y", True),
        ("~/x:/y", "~/x", "/y", True),
        ("/a:/b:ro", "/a", "/b", True),
        (r"C:\x:/y", r"C:\x", "/y", True),
        (r"C:\x:D:\y:ro", r"C:\x", r"D:\y", True),
        ("..:/y", "..", "/y", True),
    ],
)
def test_short_mounts(text: str, source: str, target: str, bind: bool) -> None:
    parts = split_mount(text)
    assert (parts.source, parts.target, parts.is_bind) == (source, target, bind)


def test_mount_options() -> None:
    parts = split_mount("v:/d:ro,z,nocopy,rshared,huh")
    assert (parts.read_only, parts.nocopy, parts.propagation, parts.unknown) == (
        True, True, "rshared", ["huh"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("300ms", 0.3),
        ("0", 0),
        ("1d", 86_400),
        ("1µs", 1e-6),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == round(seconds * SECOND)


@pytest.mark.parametrize(
    "text", ["", "30", "s", "1x", "-1s", "1m 30s", "1..5s", "99999999h", "1s1"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**17))
def test_durations_come_back(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.integers(min_value=0, max_value=10**17))
def test_seconds_are_rounded_up(nanoseconds: int) -> None:
    assert (
        (ceil_seconds(nanoseconds) - 1) * SECOND < nanoseconds <= ceil_seconds(nanoseconds) * SECOND
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("1b", 1), ("1k", 1 << 10), ("1kb", 1 << 10), ("1KiB", 1 << 10), ("64M", 64 << 20),
     ("1.5g", 3 << 29), ("2T", 2 << 40), ("10 mb", 10 << 20)],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1m", "1x", "1mm", "1e3", "9999999p", "1.m"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|large"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=1 << 59))
def test_sizes_come_back(size: int) -> None:
    assert parse_size(quantity(size).lower().removesuffix("i")) == size


@given(st.integers(min_value=0, max_value=10**7))
def test_cpus_come_back(millis: int) -> None:
    assert parse_cpus(f"{millis / 1000:.3f}") == millis
    assert cpu_quantity(millis) in (f"{millis}m", str(millis // 1000))


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e99"])
def test_what_is_no_cpu_count(text: str) -> None:
    with pytest.raises(ValueError, match="CPUs"):
        parse_cpus(text)


def test_command_words() -> None:
    assert split_words("""run --a="b c" 'd  e' f\\ g""") == ("run", "--a=b c", "d  e", "f g")
    assert shell_operators("a && b | c '&&' ; d") == ["&&", "|", ";"]
