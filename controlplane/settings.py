"""The control plane's settings: the only place that reads the environment. Loaded by `__main__`, handed to `app.py`.

Each field has a twin in the environment, `SKERRY_CONTROLPLANE_` and its name in capitals. A flag wins over the environment, the
environment over the file of `--config`, the file over the default.
"""

import dataclasses
import ipaddress
import json
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import pydantic
import pydantic_settings
import yaml
from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from controlplane.domain.access import BUILT_IN_ROLES
from controlplane.domain.people import RoleMapping

ENV_PREFIX = "SKERRY_CONTROLPLANE_"
MAX_CONFIG_BYTES = 1024 * 1024


class SettingsError(Exception):
    """The settings cannot be used; the message has a line for each that is wrong."""


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens. Port 0 means any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `host:port`, `[v6]:port` or `:port` (all interfaces). Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is not host:port, with a port from 0 to 65535")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r}: put an IPv6 address into brackets: [{host}]:{port}")
        return cls(host or "0.0.0.0", int(port))  # noqa: S104 - `:port` asks for all interfaces  # nosec B104

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for all interfaces and thus cannot be dialled."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> Any:
    """`15s`, `10m`, `72h` or `30d`; everything else goes to pydantic, which knows seconds and ISO 8601."""
    if isinstance(value, str) and (
        match := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value.strip())
    ):
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    return value


def _address(value: Any) -> Any:
    return Address.parse(value) if isinstance(value, str) else value


def _names(value: Any) -> Any:
    """A comma-separated list, as people write in the environment."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def _mappings(value: Any) -> Any:
    """Roles by group, as JSON where it is text."""
    if isinstance(value, str):
        value = json.loads(value or "{}")
    if not isinstance(value, Mapping):
        return value
    found = []
    for group, roles in value.items():
        if not isinstance(roles, list):
            raise ValueError(f"the roles of {group!r} must be a list")
        for item in roles:
            role, _, scope = str(item).partition("@")
            if role not in BUILT_IN_ROLES and "/" not in role:
                raise ValueError(f"{item!r}: {role!r} is no role")
            found.append(RoleMapping(str(group), role, scope))
    return tuple(found)


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0))]
Listen = Annotated[Address, NoDecode, BeforeValidator(_address)]
Mappings = Annotated[tuple[RoleMapping, ...], NoDecode, BeforeValidator(_mappings)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]


def _default_data_dir() -> Path:
    return Path("/var/lib/skerry") if os.geteuid() == 0 else Path.home() / ".local/share/skerry"


class Settings(BaseSettings):
    """All settings, with defaults that fit a trial on one machine."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    data_dir: Path = Field(default_factory=_default_data_dir)
    """Holds the database `skerry.db`, the keys in `pki/` and the keyring. Back it up."""

    keyring_file: Path | None = None
    """The keys that variables and secrets are encrypted with, when not `keyring.json` in `data_dir`: on another disk than the database,
    or a mounted one. Without it secrets are lost."""

    api_listen: Listen = Address("127.0.0.1", 7070)
    """Where people and programs reach the gRPC API."""

    api_advertise_address: str = ""
    """What goes into setup links as the API's address, `host:port`. When empty: the host of `api_listen`, or this machine's name when
    that stands for all interfaces."""

    api_tls: bool = True
    """Whether the API speaks TLS. May be false on a loopback address only."""

    api_certificate_file: Path | None = None
    """A certificate chain in PEM for the API, when it is not to be signed by the control plane's own CA."""

    api_key_file: Path | None = None
    """Its key, in PEM, not encrypted."""

    agent_listen: Listen = Address("0.0.0.0", 7071)  # noqa: S104 - agents come from other machines  # nosec B104
    """Where agents connect; always TLS with a certificate of the control plane's own CA."""

    agent_advertise_address: str = ""
    """What goes into join tokens as the control plane's address, `host:port`. When empty: the host of `agent_listen`, or this
    machine's name when that stands for all interfaces."""

    edge_listen: Listen = Address("127.0.0.1", 7072)
    """Where /healthz, /readyz and /metrics are served, over plain HTTP."""

    tls_names: Names = ()
    """Host names and addresses that the server certificate is for, comma-separated, besides `localhost`, `127.0.0.1`, this machine's
    name, the hosts of the listeners and the advertised addresses, which it is always for."""

    server_certificate_ttl: Duration = timedelta(days=90)
    """Life of the server certificate; a new one is made when a third of it is left."""

    agent_certificate_ttl: Duration = Field(
        default=timedelta(hours=48), ge=timedelta(hours=24), le=timedelta(hours=72)
    )
    """Life of an agent's certificate, 24 h to 72 h. The agent gets the next one over its link when a third is left."""

    agent_certificate_grace: Duration = timedelta(days=30)
    """How long after its certificate has ended an agent that was away may still renew it; after that it must join again."""

    admin_token_file: Path | None = None
    """For automation: on the first start a token of `admin` that does not expire is written there (mode 0600), and no setup link is
    printed."""

    public_url: str = ""
    """Where browsers reach `edge_listen`, through a proxy that speaks TLS: `https://skerry.example.org`. Needed for single sign-on."""

    oidc_issuer: str = ""
    """The identity provider for single sign-on, as it calls itself: `https://login.example.org`. None when empty."""

    oidc_client_id: str = ""
    """What this control plane is called there. Its redirect URI is `{public_url}/auth/oidc/callback`."""

    oidc_client_secret_file: Path | None = None
    """A file with the secret that was agreed with the provider."""

    oidc_scopes: Names = ("openid", "profile", "email")
    """What is asked of the provider; some want `groups` here."""

    oidc_groups_claim: str = "groups"
    """The claim of the ID token that holds a user's groups."""

    oidc_role_mappings: Mappings = ()
    """Roles by group: `{"ops": ["owner"], "dev": ["developer@organizations/acme"]}`; without `@` on the whole platform. JSON in the environment."""

    oidc_create_users: bool = True
    """Whether somebody who comes for the first time becomes a user. When not, an administrator links identities to users."""

    oidc_ca_file: Path | None = None
    """Certificates in PEM to trust for the provider, in place of the system's."""

    max_request_bytes: int = Field(default=4 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    """The largest request that the API takes."""

    calls_per_second: float = Field(default=200.0, gt=0)
    """How many calls of the API a caller may make in the long run."""

    calls_at_once: int = Field(default=2000, ge=1)
    """How many before that holds."""

    unknown_calls_per_second: float = Field(default=20.0, gt=0)
    """The same for each address from which callers come who are not known: probes, logins, wrong tokens."""

    unknown_calls_at_once: int = Field(default=200, ge=1)
    """How many before that holds."""

    terminals_per_user: int = Field(default=16, ge=1)
    """How many terminals somebody may have open at a time, detached ones included."""

    terminals_per_cluster: int = Field(default=128, ge=1)
    """How many may be open in a cluster."""

    terminal_detached_life: Duration = timedelta(hours=24)
    """How long a terminal runs on after its user detached from it."""

    drain_timeout: Duration = timedelta(seconds=10)
    """How long calls may go on after the server was told to stop."""

    log_format: Literal["auto", "json", "text"] = "auto"
    """`json`: one object a line; `text`: for reading; `auto`: text on a terminal, else json."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged at least."""

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        if not self.api_tls and not self.api_listen.is_loopback:
            raise ValueError(
                f"api_tls is off but api_listen is {self.api_listen}: tokens would travel in clear text. "
                "Switch api_tls on, or listen on 127.0.0.1 behind a proxy that speaks TLS"
            )
        if (self.api_certificate_file is None) != (self.api_key_file is None):
            raise ValueError("api_certificate_file and api_key_file go together: set both or none")
        for advertised in (self.agent_advertise_address, self.api_advertise_address):
            if advertised:
                Address.parse(advertised)
        _check_oidc(self)
        return self

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.data_dir / "skerry.db"

    @property
    def keyring_path(self) -> Path:
        """The keyring's file."""
        return self.keyring_file or self.data_dir / "keyring.json"

    @property
    def pki_dir(self) -> Path:
        """The folder of keys and certificates."""
        return self.data_dir / "pki"

    def advertised(self, agent_port: int) -> str:
        """The address for join tokens, given the port that the agent listener really has."""
        if self.agent_advertise_address:
            return self.agent_advertise_address
        host = socket.gethostname() if self.agent_listen.is_wildcard else self.agent_listen.host
        return str(Address(host, agent_port))

    def api_advertised(self, api_port: int) -> str:
        """The address for setup links, given the port that the API listener really has."""
        if self.api_advertise_address:
            return self.api_advertise_address
        host = socket.gethostname() if self.api_listen.is_wildcard else self.api_listen.host
        return str(Address(host, api_port))

    def server_names(self) -> tuple[str, ...]:
        """Everything that the server certificate is for."""
        hosts = [self.api_listen.host, self.agent_listen.host]
        hosts += [
            Address.parse(advertised).host
            for advertised in (self.agent_advertise_address, self.api_advertise_address)
            if advertised
        ]
        concrete = [host for host in hosts if not Address(host, 0).is_wildcard]
        always = ("localhost", "127.0.0.1", socket.gethostname())
        return tuple(dict.fromkeys([*always, *concrete, *self.tls_names]))


def _check_oidc(settings: Settings) -> None:
    for name in ("public_url", "oidc_issuer"):
        url = urlsplit(getattr(settings, name))
        if not url.netloc and not url.scheme and not url.path:
            continue
        safe = url.scheme == "https" or (
            url.scheme == "http" and Address(url.hostname or "", 0).is_loopback
        )
        if not safe or url.query or url.fragment:
            raise ValueError(
                f"{name} must be https://HOST[:PORT] (http on a loopback address only)"
            )
    if settings.oidc_issuer:
        needed = ("public_url", "oidc_client_id", "oidc_client_secret_file")
        missing = [name for name in needed if not getattr(settings, name)]
        if missing:
            raise ValueError(f"oidc_issuer needs {', '.join(missing)} too")


def load(config_file: Path | None = None, **flags: Any) -> Settings:
    """Reads flags (those that are not None), the environment and the file. Raises SettingsError."""
    from_file = _read(config_file) if config_file else {}

    class WithFile(Settings):
        """Settings that also look into this one file."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file = pydantic_settings.InitSettingsSource(settings_cls, init_kwargs=from_file)
            return (init_settings, env_settings, file)

    try:
        return WithFile(**{name: value for name, value in flags.items() if value is not None})
    except pydantic.ValidationError as error:
        raise SettingsError(_explain(error)) from error


def parse_duration(text: str) -> timedelta:
    """A duration as the settings take it: `15s`, `10m`, `72h`, `30d`. Raises SettingsError."""
    value = _duration(text)
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise SettingsError(f"{text!r} is not a duration such as 15s, 10m, 72h or 30d")
    return value


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        if len(content) > MAX_CONFIG_BYTES:
            raise SettingsError(f"{path} is larger than 1 MiB")
        if path.suffix == ".toml":
            values: Any = tomllib.loads(content.decode())
        elif path.suffix in (".yaml", ".yml"):
            values = yaml.safe_load(content) or {}
        else:
            raise SettingsError(f"{path}: a settings file ends in .toml, .yaml or .yml")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} is malformed: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path} must hold names and values at the top")
    return values


def _explain(error: pydantic.ValidationError) -> str:
    """A line for each setting, with its names. Values stay out: pydantic would print them."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "there is no such setting"
        lines.append(f"{name} ({ENV_PREFIX}{name.upper()}): {message}" if name else message)
    return "\n".join(lines)
