"""The agent's settings: the only place that reads the environment. Loaded by `__main__`, handed to `app`.

Each field has a twin in the environment: `SKERRY_AGENT_` and its name in capitals. A flag wins over
the environment, the environment over the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV_PREFIX = "SKERRY_AGENT_"


class SettingsError(Exception):
    """The settings cannot be used; the message has a line for each that is wrong."""


def _names(value: Any) -> Any:
    """A comma-separated list, as people write in the environment."""
    if isinstance(value, str):
        return frozenset(name.strip() for name in value.split(",") if name.strip())
    return value


def _pairs(value: Any) -> Any:
    """`name=value,name=value`."""
    if not isinstance(value, str):
        return value
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    if any("=" not in entry for entry in entries):
        raise ValueError("write name=value, separated by commas")
    return {name.strip(): text.strip() for name, _, text in (e.partition("=") for e in entries)}


Names = Annotated[frozenset[str], NoDecode, BeforeValidator(_names)]
Pairs = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)]


class AgentSettings(BaseSettings):
    """Everything an operator may decide about an agent."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    join_token: SecretStr | None = None
    """A join token (`skerry cluster join-token`); needed once. Prefer the file: others can read a
    process's arguments."""
    join_token_file: Path | None = None
    """A file with the join token. Read only while the agent has no identity, or when it has changed."""
    state_dir: Path = Path("/var/lib/skerry-agent")
    """Where the identity and the journal of commands are. Must survive a restart."""
    proxy_ca_file: Path | None = None
    """CA certificates in PEM of a proxy that ends TLS in front of the control plane; trusted beside the control plane's own CA."""
    kubeconfig: Path | None = None
    """The cluster to look after. Left out: the pod's service account, else $KUBECONFIG or ~/.kube/config."""
    context: str | None = None
    """The context of the kubeconfig."""
    namespace: str = Field(default="skerry-system", pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    """The agent's own namespace: HelmCharts and the records of add-ons are there."""
    exec_keep_seconds: float = Field(default=60.0, ge=0.0, le=600.0)
    """How long a command with a terminal waits for the link to come back; then it is ended. 0: not at all."""
    metrics_address: str = Field(default="127.0.0.1:7073", pattern=r"^(.*:\d{1,5})?$")
    """host:port of /healthz, /readyz and /metrics; empty for none."""

    add_ons_disabled: Names = frozenset()
    """Add-ons not to install, separated by commas. What is installed already stays."""
    add_ons_enabled: Names = frozenset()
    """Opt-in add-ons to install."""
    add_on_versions: Pairs = Field(default_factory=dict)
    """Other versions than the table's: `garage=2.5.1`."""
    add_ons_dir: Path | None = None
    """A folder with more add-ons, each a folder with `addon.toml`."""
    chart_mirror: str = Field(default="", pattern=r"^((https?|oci)://.+)?$")
    """A repository (https://…) or prefix (oci://…) that holds all charts, for clusters without internet."""
    image_mirror: str = ""
    """A registry that holds the images of add-ons, and of helpers beside apps, under their own paths:
    `registry.local:5000`."""
    helm_job_image: str = ""
    """Another image for helm's jobs than the controller's own."""
    storage_class: str = ""
    """Storage class of add-ons' and apps' volumes; the cluster's default when empty."""
    wait_image: str = ""
    """Image of the small containers that wait for dependencies; the converter's default when empty."""

    network_policy_probe: bool = True
    """Find out whether network policies are enforced, with two tiny pods once a day."""
    probe_image: str = "docker.io/library/busybox:1.36"
    """The image of those pods: sh, httpd, nc and sleep."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    """auto: text on a terminal, else a JSON object a line."""


def load(**flags: Any) -> AgentSettings:
    """The settings; flags that are None were not given. Raises SettingsError."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return AgentSettings(**given)
    except pydantic.ValidationError as error:
        lines = [_explain(entry, given) for entry in error.errors(include_input=False)]
        raise SettingsError("\n".join(lines)) from None  # the cause would repeat the values


def _explain(entry: Any, flags: dict[str, Any]) -> str:
    name = str(entry["loc"][0]) if entry["loc"] else ""
    place = f"--{name.replace('_', '-')}" if name in flags else f"{ENV_PREFIX}{name.upper()}"
    return f"{place}: {entry['msg']}"
