"""What `up` and `status` show."""

from __future__ import annotations

import io
import time

from devcluster.builds import Progress
from devcluster.display import Display, describe, minutes
from devcluster.status import render


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def building(done: int) -> Progress:
    return Progress("cake", time.time() - 10, steps_done=done, steps=100, seconds=100)


def test_without_a_terminal_a_build_speaks_only_now_and_then() -> None:
    stream = io.StringIO()
    display = Display(stream)
    for done in range(1, 50):
        display.progress(building(done))
    assert stream.getvalue().count("building cake") == 1
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_one_line_is_drawn_again_and_again() -> None:
    stream = Terminal()
    display = Display(stream)
    display.progress(building(20))
    display.progress(building(40))
    display.line("something else")
    lines = stream.getvalue().split("\n")
    assert lines[0].endswith("something else")
    assert "cake 40 %" in lines[1]  # and it is drawn again below


def test_the_end_of_a_build_is_said_once() -> None:
    stream = io.StringIO()
    display = Display(stream)
    done = Progress("cake", time.time() - 61, 1, 1, 60, state="built")
    display.progress(building(1))
    display.progress(done)
    display.progress(done)
    assert stream.getvalue().count("cake: built in 61 s") == 1


def test_time_is_minutes_and_seconds() -> None:
    assert [minutes(one) for one in (0, 9.6, 60, 3599)] == ["0:00", "0:10", "1:00", "59:59"]


def test_a_build_is_described_by_share_and_time_left() -> None:
    assert describe(Progress("cake", time.time(), 0, 0, 90)) == "cake, about 1:30 left"


def test_a_status_names_what_is_up_and_what_is_coming() -> None:
    def component(name: str, state: str, **more: object) -> dict[str, object]:
        empty = {"version": "1", "since": None, "seconds_left": None, "message": ""}
        return {"name": name, "state": state, **empty, **more}

    text = render(
        {
            "kind": "own",
            "kubeconfig": "/k",
            "node_ip": "192.0.2.1",
            "components": [
                component("etcd", "running", since=1000.0),
                component("garage", "building", seconds_left=90.0),
                component("grpcurl", "failed", message="no network"),
            ],
        },
        now=1065.0,
    )
    assert text.splitlines() == [
        "kubeconfig  /k",
        "node        192.0.2.1",
        "",
        "COMPONENT  STATE     VERSION",
        "etcd       running   1        for 1:05",
        "garage     building  1        about 1:30 left",
        "grpcurl    failed    1        no network",
    ]


def test_a_foreign_cluster_has_no_components_of_ours() -> None:
    text = render({"kind": "k3s", "kubeconfig": "/k", "components": []}, now=0.0)
    assert text == "using /k (k3s); nothing of ours runs\n"
