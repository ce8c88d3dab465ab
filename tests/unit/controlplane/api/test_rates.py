"""Who calls too often is told when to come again, and nobody else suffers."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.interceptors.call import Call
from controlplane.api.interceptors.rates import Rate, RateLimit, address_of
from controlplane.domain.access import Grants
from controlplane.domain.errors import RateLimited
from controlplane.domain.tokens import Principal

RATE = Rate(per_second=10, burst=5)


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def limit(time: Time) -> RateLimit:
    return RateLimit(RATE, RATE, monotonic=time)


def taken(limit: RateLimit, who: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            limit.take(who, RATE)
        except RateLimited:
            continue
        count += 1
    return count


def test_a_burst_is_taken_and_no_more(limit: RateLimit) -> None:
    assert taken(limit, "a", 20) == 5


def test_the_refusal_says_when(limit: RateLimit, time: Time) -> None:
    taken(limit, "a", 5)
    with pytest.raises(RateLimited) as refusal:
        limit.take("a", RATE)
    assert refusal.value.retry_after == pytest.approx(0.1)
    time.now += 0.1
    limit.take("a", RATE)


def test_one_caller_does_not_use_up_anothers(limit: RateLimit) -> None:
    taken(limit, "a", 20)
    assert taken(limit, "b", 5) == 5


def test_many_addresses_do_not_fill_the_memory(limit: RateLimit) -> None:
    for number in range(10_100):
        limit.take(f"address {number}", RATE)
    assert len(limit._buckets) == 10_000


@given(st.lists(st.floats(min_value=0, max_value=3), max_size=60))
def test_never_more_than_the_rate_and_one_burst(pauses: list[float]) -> None:
    time = Time()
    limit = RateLimit(RATE, RATE, monotonic=time)
    count = 0
    for pause in pauses:
        time.now += pause
        count += taken(limit, "a", 3)
    assert count <= RATE.burst + RATE.per_second * sum(pauses) + 1e-6


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.1:4711", "10.0.0.1"),
        ("ipv6:[::1]:4711", "[::1]"),
        ("ipv6:%5B::1%5D:4711", "%5B::1%5D"),
        ("unix:", "unix:"),
    ],
)
def test_connections_of_one_machine_are_one(peer: str, address: str) -> None:
    assert address_of(peer) == address


class Peer:
    """As much of a gRPC context as the stage asks."""

    def peer(self) -> str:
        return "ipv4:10.0.0.1:4711"


async def entered(limit: RateLimit, method: str, principal: Principal | None) -> None:
    call = Call(method, "unary", {}, "request", principal=principal)
    async with limit(call, cast("Any", Peer())):
        pass


async def test_known_callers_share_no_bucket_with_their_address(time: Time) -> None:
    limit = RateLimit(Rate(1, 2), Rate(1, 1), monotonic=time)
    method = "/skerry.platform.v1.AppService/GetApp"
    somebody = Principal("users/a", "A", Grants(), "credential", None)
    await entered(limit, method, None)
    with pytest.raises(RateLimited, match=r"address 10\.0\.0\.1"):
        await entered(limit, method, None)
    for _ in range(2):
        await entered(limit, method, somebody)
    with pytest.raises(RateLimited, match="caller users/a"):
        await entered(limit, method, somebody)


async def test_agents_and_probes_are_not_counted(time: Time) -> None:
    limit = RateLimit(Rate(1, 1), Rate(1, 1), monotonic=time)
    for _ in range(5):
        await entered(limit, "/skerry.agent.v1.LinkService/Connect", None)
        await entered(limit, "/grpc.health.v1.Health/Check", None)
