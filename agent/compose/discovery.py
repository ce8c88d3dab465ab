"""Which ports a service listens on, and which service the world wants to reach.

Two of three real services declare no port. Found, in this order: ports, expose, x-skerry.ports,
labels for traefik, `name:port` in the values of peers, addresses of the own health check, ports
customary for the image, `PORT` in the environment. A service without any port gets a headless
Service, which makes every port reachable by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from agent.compose import images
from agent.compose.model import Service
from agent.compose.ports import MAX_PORT
from agent.compose.result import PortFact, PortSource, PublicGuess

_LOCAL = re.compile(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]):(\d{2,5})\b", re.ASCII)
_REFERENCE = re.compile(r"(?<![\w.-])([A-Za-z0-9][\w.-]{0,62}):(\d{2,5})(?![\w.:-])", re.ASCII)
_BACKGROUND = re.compile(
    r"worker|sidekiq|cron|celery|beat|scheduler|queue|migrat|updater|(^|[-_.])(init|setup|jobs?)([-_.]|$)"
)
"""Names of services that work unseen."""
_LONGEST_SEARCHED = 4_096
_LOOPBACK = ("127.", "::1", "localhost")
_PORT_VARIABLES = ("PORT", "HTTP_PORT", "SERVER_PORT", "LISTEN_PORT")


def discover(
    services: Mapping[str, Service], environments: Mapping[str, Mapping[str, str]]
) -> dict[str, tuple[PortFact, ...]]:
    """Ports of every service by compose name. `environments` are the final variables of each."""
    references = _references(services, environments)
    return {
        name: _ports(service, environments[name], references.get(name, ()))
        for name, service in services.items()
    }


def guess_public(
    services: Mapping[str, Service], ports: Mapping[str, tuple[PortFact, ...]]
) -> PublicGuess | None:
    """The service to publish, unless the file says it: right for 9 of 10 real templates."""
    for name, service in services.items():
        wanted = service.extension
        if wanted.public:
            port = wanted.public_port or _public_port(ports[name])
            return PublicGuess(name, port, "x-skerry.public", wanted.public_host)
    hints = {name: service.hints for name, service in services.items()}
    for name, hint in hints.items():
        if hint.public and services[name].extension.public is None:
            port = hint.ports[0] if hint.ports else _public_port(ports[name])
            return PublicGuess(name, port, "its labels for other tools", hint.host)
    for name, hint in hints.items():
        if hint.host and hint.public is None and services[name].extension.public is None:
            port = hint.ports[0] if hint.ports else _public_port(ports[name])
            return PublicGuess(name, port, "a host name in its labels for other tools", hint.host)
    # A service that lends its network to others is in front of them, not behind.
    wanted_by = {
        d.service
        for s in services.values()
        for d in s.depends_on
        if d.service not in s.joins.values()
    }
    candidates = [
        name
        for name, service in services.items()
        if service.extension.public is not False and hints[name].public is not False
    ]
    apps = [name for name in candidates if not images.is_data_store(services[name].image)]
    choices = (
        (
            [n for n in apps if n not in wanted_by and _BACKGROUND.search(n.lower()) is None],
            "the first service that is no data store and that nothing depends on",
        ),
        (
            [n for n in apps if _BACKGROUND.search(n.lower()) is None],
            "the first service that is no data store",
        ),
        (apps, "the first service that is no data store"),
        ([n for n in candidates if any(p.http for p in ports[n])], "the first service with HTTP"),
    )
    for names, reason in choices:
        if names:
            return PublicGuess(names[0], _public_port(ports[names[0]]), reason)
    return None


def are_certain(service: Service, ports: tuple[PortFact, ...]) -> bool:
    """Whether the service surely listens on one of its ports.

    Customary ports of an image are only a guess (but for data stores): a Service with a wrong port
    would make every other one unreachable, and waiting for it would never end.
    """
    guesses = {PortSource.ENVIRONMENT}
    if not images.is_data_store(service.image):
        guesses.add(PortSource.IMAGE)
    return any(fact.source not in guesses for fact in ports)


def is_headless(service: Service, ports: tuple[PortFact, ...]) -> bool:
    """Whether the name leads to the pods themselves: no port is certain, or the file wants it."""
    deploy = service.fields.child("deploy")
    wanted = deploy is not None and deploy.text("endpoint_mode") == "dnsrr"
    return service.hints.headless or wanted or not are_certain(service, ports)


def is_loopback(host_ip: str) -> bool:
    """Whether a published port was bound to the Docker host's own address only."""
    return host_ip.startswith(_LOOPBACK)


def _ports(
    service: Service, environment: Mapping[str, str], references: Iterable[int]
) -> tuple[PortFact, ...]:
    found: dict[tuple[int, str], PortFact] = {}

    def add(fact: PortFact) -> None:
        found.setdefault((fact.port, fact.protocol), fact)

    for port in service.ports:
        http = _is_http(port.target, port.app_protocol or port.name) and port.protocol == "tcp"
        add(
            PortFact(
                port.target, port.protocol, PortSource.PORTS, port.published, port.host_ip, http
            )
        )
    for exposed in service.exposed:
        add(_found(exposed.target, exposed.protocol, PortSource.EXPOSE))
    for extra in service.extension.ports:
        add(_found(extra.target, extra.protocol, PortSource.EXTENSION))
    for number in service.hints.ports:
        add(_found(number, "tcp", PortSource.LABEL))
    for number in sorted(references):
        add(_found(number, "tcp", PortSource.PEER))
    if service.healthcheck is not None:
        for match in _LOCAL.finditer(" ".join(service.healthcheck.command)):
            if int(match.group(1)) <= MAX_PORT:
                add(_found(int(match.group(1)), "tcp", PortSource.HEALTHCHECK))
    if not found:
        for number in images.known_ports(service.image):
            add(_found(number, "tcp", PortSource.IMAGE))
    if not found:
        for variable in _PORT_VARIABLES:
            value = environment.get(variable, "")
            if value.isdecimal() and 1 < len(value) < 6 and int(value) <= MAX_PORT:
                add(_found(int(value), "tcp", PortSource.ENVIRONMENT))
                break
    return tuple(found.values())


def _found(port: int, protocol: str, source: PortSource) -> PortFact:
    return PortFact(port, protocol, source, http=protocol == "tcp" and _is_http(port, ""))


def _is_http(port: int, said: str) -> bool:
    if said:
        return said.lower().startswith(("http", "web", "ws", "grpc", "h2c"))
    return images.looks_http(port)


def _references(
    services: Mapping[str, Service], environments: Mapping[str, Mapping[str, str]]
) -> dict[str, set[int]]:
    """Ports that services name together with a peer, as `db:5432`, in environment and commands."""
    names: dict[str, str] = {}
    for name, service in services.items():
        names[name] = name
        for alias in service.aliases:
            names.setdefault(alias.text, name)
    found: dict[str, set[int]] = {}
    for name, service in services.items():
        texts = [
            *environments[name].values(),
            *(service.command or ()),
            *(service.entrypoint or ()),
        ]
        for text in texts:
            if len(text) > _LONGEST_SEARCHED:
                continue
            for match in _REFERENCE.finditer(text):
                target = names.get(match.group(1))
                port = int(match.group(2))
                if target is not None and 1 <= port <= MAX_PORT:
                    found.setdefault(target, set()).add(port)
    return found


def _public_port(ports: tuple[PortFact, ...]) -> int | None:
    """HTTP-looking published ports first, then any HTTP-looking one, then the only TCP port."""
    tcp = [p for p in ports if p.protocol == "tcp" and not is_loopback(p.host_ip)]
    for fact in (
        *(p for p in tcp if p.http and p.source is PortSource.PORTS),
        *(p for p in tcp if p.http),
        *(p for p in tcp if p.source in (PortSource.PORTS, PortSource.EXPOSE)),
        *tcp[:1],
    ):
        if fact.http or not images.is_other_protocol(fact.port):
            return fact.port
    return None
