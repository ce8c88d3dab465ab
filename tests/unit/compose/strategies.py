"""Compose files that are nearly right: made along the table of keys, each value in the shape of its
key, most of them valid. What hypothesis finds with them is beyond the parser."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from agent.compose import keys
from agent.compose.key import Shape, Treatment
from agent.compose.keys import Branch

Strategy = st.SearchStrategy[Any]

NAMES = ["web", "db", "my_db", "Cache", "a.b"]
VOLUMES = ["data", "my_data"]
NETWORKS = ["default", "back"]
FILES = {"c.conf": b"conf", "d/e.txt": b"deep", "x.env": b"X=1\nY=${X}2\n"}

_WORD = st.sampled_from(
    ["a", "x-y", "v1", "A_B", "1", "$$HOME", "${V}", "${W:-w}", "${V:+p}", "ä b"]
)
_SIZE = st.builds("{}{}".format, st.integers(8, 999), st.sampled_from(["m", "mb", "MiB", "g"]))
_DURATION = st.builds("{}{}".format, st.integers(0, 99), st.sampled_from(["s", "m", "ms", "m5s"]))
_PORT = st.integers(1, 65_000)
_TARGET = st.sampled_from(["/data", "/data/sub", "/etc/c.conf", "/run/x", "/a/../b"])
_SOURCE = st.sampled_from([*VOLUMES, "./c.conf", "./d", "./none", ""])
_SHORT_MOUNT = st.builds(
    lambda source, target, mode: f"{source}:{target}{mode}" if source else target,
    _SOURCE,
    _TARGET,
    st.sampled_from(["", ":ro", ":rw,z"]),
)
_BY_NAME: dict[str, Strategy] = {
    "image": st.sampled_from(
        ["nginx", "postgres:16", "app@sha256:" + "a" * 64, "ghcr.io/a/b:${V}"]
    ),
    "condition": st.sampled_from(
        ["service_started", "service_healthy", "service_completed_successfully"]
    ),
    "restart": st.sampled_from(["no", "always", "unless-stopped", "on-failure:3", "on-failure"]),
    "target": _TARGET,
    "source": _SOURCE,
    "type": st.sampled_from(["volume", "bind", "tmpfs"]),
    "test": st.sampled_from(["true", ["CMD", "a"], ["CMD-SHELL", "a || b"], ["NONE"]]),
    "user": st.sampled_from(["0", "1000:1000", "root"]),
    "cap_add": st.lists(st.sampled_from(["CHOWN", "cap_kill"]), max_size=2),
    "security_opt": st.just(["no-new-privileges:true"]),
    "profiles": st.sampled_from([[], ["debug"]]),
    "network_mode": st.sampled_from(["bridge", "none", "service:web"]),
    "driver": st.sampled_from(["local", "bridge"]),
    "extra_hosts": st.just(["x.example.com:93.184.216.34"]),
    "dns": st.just(["93.184.216.34"]),
    "sysctls": st.just({"net.ipv4.tcp_syncookies": "1"}),
    "mode": st.sampled_from(["0440", "replicated", "ingress"]),
    "platform": st.just("linux/amd64"),
    "pull_policy": st.sampled_from(["always", "missing", "daily"]),
    "replicas": st.integers(0, 3),
    "scale": st.integers(0, 3),
    "file": st.sampled_from(["./c.conf", "d/e.txt"]),
    "content": st.text(max_size=20),
    "external": st.booleans(),
    "volumes_from": st.lists(st.sampled_from(NAMES), max_size=2),
    "links": st.lists(st.builds("{}:{}".format, st.sampled_from(NAMES), _WORD), max_size=2),
    "tmpfs": st.lists(st.sampled_from(["/run", "/tmp:size=1m"]), max_size=2),
    "expose": st.lists(_PORT.map(str), max_size=2),
    "published": _PORT.map(str),
    "cron": st.just("0 3 * * *"),
    "order": st.sampled_from(["start-first", "stop-first"]),
    "format": st.just("raw"),
    "name": st.sampled_from(["project", "p1"]),
}
_BY_SHAPE: dict[Shape, Strategy] = {
    Shape.TEXT: _WORD,
    Shape.FLAG: st.booleans(),
    Shape.WHOLE: st.integers(0, 20),
    Shape.NUMBER: st.sampled_from(["0.5", 1, 2.25]),
    Shape.SIZE: _SIZE,
    Shape.DURATION: _DURATION,
    Shape.TEXTS: st.lists(_WORD, max_size=3) | _WORD,
    Shape.PAIRS: st.dictionaries(
        st.sampled_from(["A", "B", "LONG_NAME"]), _WORD | st.none(), max_size=3
    )
    | st.lists(st.builds("{}={}".format, st.sampled_from(["A", "B"]), _WORD), max_size=3),
    Shape.COMMAND: st.sampled_from(["run 'a b' c", ["sh", "-c", "echo $$X $(date)"], [], None]),
    Shape.PORTS: st.lists(
        st.builds("{}:{}".format, _PORT, _PORT) | _PORT.map(str) | _PORT.map("{}/udp".format),
        max_size=3,
    ),
    Shape.MOUNTS: st.lists(_SHORT_MOUNT, max_size=3),
    Shape.GRANTS: st.lists(st.just("conf"), max_size=1),
    Shape.ENV_FILES: st.sampled_from(["x.env", ["x.env"], [{"path": "no", "required": False}]]),
    Shape.DEPENDENCIES: st.lists(st.sampled_from(NAMES), max_size=2)
    | st.dictionaries(
        st.sampled_from(NAMES),
        st.fixed_dictionaries({"condition": _BY_NAME["condition"]}),
        max_size=2,
    ),
    Shape.ATTACHMENTS: st.lists(st.sampled_from(NETWORKS), max_size=2)
    | st.dictionaries(
        st.sampled_from(NETWORKS),
        st.none() | st.fixed_dictionaries({"aliases": st.lists(_WORD, max_size=2)}),
        max_size=2,
    ),
    Shape.LIMITS: st.just({"nofile": 1024}),
    Shape.EXTERNAL: st.booleans(),
    Shape.ANY: st.just({}),
}


def _value(branch: Branch) -> Strategy:
    key = branch.key
    name = key.path.rsplit(".", 1)[-1]
    if name in _BY_NAME and key.shape is not Shape.MAPPING:
        return _BY_NAME[name]
    if key.shape in _BY_SHAPE:
        return _BY_SHAPE[key.shape]
    if branch.names:
        return _mapping(branch)
    return st.just({})


def _mapping(branch: Branch, required: dict[str, Strategy] | None = None) -> Strategy:
    """Some of the keys below; those that are refused whatever they say are left out."""
    names = [
        name
        for name in branch.names
        if branch.children[name].key.treatment is not Treatment.REFUSED
        and name not in ("extends", "include", "models", *(required or {}))
    ]
    optional = {name: _value(branch.children[name]) for name in names}
    chosen = st.lists(st.sampled_from(names), max_size=7, unique=True).flatmap(
        lambda some: st.fixed_dictionaries({name: optional[name] for name in some})
    )
    return st.builds(lambda a, b: {**a, **b}, st.fixed_dictionaries(required or {}), chosen)


def _named(section: str, names: list[str]) -> Strategy:
    branch = keys.tree().children[section].children["*"]
    return st.fixed_dictionaries({name: _mapping(branch) for name in names})


def files() -> Strategy:
    """Whole compose files as plain trees."""
    service = keys.tree().children["services"].children["*"]
    services = st.dictionaries(
        st.sampled_from(NAMES),
        _mapping(service, {"image": _BY_NAME["image"]}),
        min_size=1,
        max_size=4,
    )
    content = st.fixed_dictionaries({"conf": st.fixed_dictionaries({"content": _WORD})})
    return st.fixed_dictionaries(
        {
            "services": services,
            "volumes": _named("volumes", VOLUMES) | st.just(dict.fromkeys(VOLUMES)),
            "networks": st.just({"back": None}) | _named("networks", ["back"]),
            "configs": content,
            "secrets": content,
        }
    )
