"""The `skerry-controlplane` command: serve, migrate, doctor, setup-link, token, ca. Reads arguments, hands over, prints.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings.
"""

import asyncio
import datetime
import enum
import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvloop
from skerry.version import VERSION

from controlplane import app, doctor, log_setup, settings
from controlplane.api.server import ListenError
from controlplane.background import BackgroundTaskDied
from controlplane.domain.clock import SystemClock
from controlplane.domain.errors import SkerryError
from controlplane.keyring.errors import KeyringError
from controlplane.pki.errors import PkiError
from controlplane.store.migrations import run as migrations

cli = typer.Typer(
    name="skerry-controlplane",
    help="The control plane of Skerry: who may do what, what is wanted, where it goes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
tokens = typer.Typer(help="API tokens.", no_args_is_help=True)
cli.add_typer(tokens, name="token")
authority = typer.Typer(help="The certificate authority.", no_args_is_help=True)
cli.add_typer(authority, name="ca")
keys = typer.Typer(
    help="The keys that variables and secrets are encrypted with.", no_args_is_help=True
)
cli.add_typer(keys, name="keys")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A settings file: .toml, .yaml or .yml.")
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where the database and the keys are.")
]


class Output(enum.StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


@cli.command()
def serve(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    api_listen: Annotated[str | None, typer.Option(help="host:port of the API.")] = None,
    api_tls: Annotated[
        bool | None, typer.Option(help="TLS on the API; may be off on loopback only.")
    ] = None,
    agent_listen: Annotated[str | None, typer.Option(help="host:port for agents.")] = None,
    agent_advertise_address: Annotated[
        str | None, typer.Option(help="host:port that join tokens tell agents to connect to.")
    ] = None,
    edge_listen: Annotated[
        str | None, typer.Option(help="host:port of /healthz, /readyz and /metrics.")
    ] = None,
    admin_token_file: Annotated[
        Path | None,
        typer.Option(help="Write a token of admin there at the first start; no setup link then."),
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="auto, json or text.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Serve until told to stop. Migrates the database first. SIGTERM drains, a second one stops at once."""
    loaded = _load(
        config,
        data_dir=data_dir,
        api_listen=api_listen,
        api_tls=api_tls,
        agent_listen=agent_listen,
        agent_advertise_address=agent_advertise_address,
        edge_listen=edge_listen,
        admin_token_file=admin_token_file,
        log_format=log_format,
        log_level=log_level,
    )
    try:
        uvloop.run(app.serve(loaded, started=_show_setup_link))
    except (app.StartError, BackgroundTaskDied, ListenError, PkiError, SkerryError) as error:
        _fail(str(error))


@cli.command()
def migrate(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 when migrations are missing.")
    ] = False,
) -> None:
    """Bring the database to this version's tables; `serve` does the same at start."""
    loaded = _load(config, data_dir=data_dir)
    if check:
        found = doctor.database_revision(loaded.database_path)
        wanted = migrations.head()
        print(f"database: {found or 'none'}, this version: {wanted}")
        raise typer.Exit(0 if found == wanted else 1)
    try:
        app.migrate_database(loaded)
    except (app.StartError, SkerryError) as error:
        _fail(str(error))
    print(f"{loaded.database_path} is at {migrations.head()}")


@cli.command("doctor")
def examine(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="table or json.")] = Output.TABLE,
) -> None:
    """Look for what is wrong, and say how to mend it. Exit 1 when something must be mended."""
    try:
        loaded = settings.load(config, data_dir=data_dir)
    except settings.SettingsError as error:
        fix = "correct the setting; `skerry-controlplane serve --help` names the common ones"
        findings = [doctor.Finding("settings", doctor.Verdict.FAIL, str(error), fix)]
    else:
        findings = doctor.examine(loaded, now=datetime.datetime.now(datetime.UTC))
    if output is Output.JSON:
        items = [
            {
                "check": finding.check,
                "verdict": finding.verdict.value,
                "message": finding.message,
                "fix": finding.fix,
            }
            for finding in findings
        ]
        print(json.dumps({"findings": items}, indent=2))
    else:
        for finding in findings:
            print(f"{finding.verdict:4}  {finding.check:18}  {finding.message}")
            if finding.fix:
                print(f"{'':4}  {'':18}  → {finding.fix}")
    raise typer.Exit(any(finding.verdict is doctor.Verdict.FAIL for finding in findings))


@cli.command("setup-link")
def setup_link(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    ttl: Annotated[
        str | None, typer.Option(help="How long it is valid; 1h when not given.")
    ] = None,
) -> None:
    """Make a link for `skerry login --setup` and print it: whoever has it becomes an owner of the platform, once.

    The way in again when the last owner forgot the password. Links made before are worthless from then on. Works beside a
    serving control plane.
    """
    loaded = _load(config, data_dir=data_dir)
    try:
        life = settings.parse_duration(ttl) if ttl else None
        print(asyncio.run(app.make_setup_link(loaded, ttl=life)))
    except settings.SettingsError as error:
        _fail(f"--ttl: {error}", code=2)
    except (PkiError, SkerryError) as error:
        _fail(str(error))


@tokens.command("create")
def create_token(
    name: Annotated[str, typer.Option(help="For people: whose token it is, or what for.")],
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    ttl: Annotated[
        str | None, typer.Option(help="How long it is valid, such as 30d; for ever when not given.")
    ] = None,
) -> None:
    """Make an API token and print it: it is shown here and nowhere else. Works beside a serving control plane."""
    loaded = _load(config, data_dir=data_dir)
    try:
        life = settings.parse_duration(ttl) if ttl else None
        print(asyncio.run(app.create_token(loaded, name, ttl=life)))
    except settings.SettingsError as error:
        _fail(f"--ttl: {error}", code=2)
    except (app.StartError, SkerryError) as error:
        _fail(str(error))


@authority.command("rotate")
def rotate_authority(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Drop the old CA, once every agent has followed.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --finish: although agents have not followed.")
    ] = False,
) -> None:
    """Change the CA without agents joining again: begin, then wait, then --finish. Works beside a serving control plane."""
    loaded = _load(config, data_dir=data_dir)
    if force and not finish:
        _fail("--force goes with --finish", code=2)
    try:
        if not finish:
            asyncio.run(app.begin_ca_rotation(loaded))
            print(
                f"The next CA is {loaded.pki_dir / 'next' / 'ca.crt'}: agents get certificates of it now, or when they are back. "
                "Give it to clients of the API as well; then `skerry-controlplane ca rotate --finish`. "
                "`skerry-controlplane doctor` shows who has followed."
            )
            return
        behind = asyncio.run(app.finish_ca_rotation(loaded, force=force))
        print("The new CA is in use; the old one counts for nothing.")
        if behind:
            print(f"Must join again: {', '.join(behind)}")
    except (app.StartError, PkiError, SkerryError) as error:
        _fail(str(error))


@keys.command("list")
def list_keys(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="table or json.")] = Output.TABLE,
) -> None:
    """List the keys, and how much is encrypted with each. Exit 1 when a key that is in use is missing."""
    loaded = _load(config, data_dir=data_dir)
    try:
        keyring, usage = asyncio.run(app.keys_in_use(loaded))
        known = {key.id: key for key in keyring.all_keys()}
        primary = keyring.primary
    except (app.StartError, SkerryError) as error:
        _fail(str(error))
    rows = [
        {
            "id": key_id,
            "state": "primary"
            if key_id == primary
            else "MISSING"
            if key_id not in known
            else "old",
            "create_time": known[key_id].create_time.isoformat() if key_id in known else "",
            "variables": usage[key_id].variables if key_id in usage else 0,
            "revisions": usage[key_id].revisions if key_id in usage else 0,
        }
        for key_id in [*known, *(key_id for key_id in usage if key_id not in known)]
    ]
    if output is Output.JSON:
        print(json.dumps({"keys": rows}, indent=2))
    else:
        print(f"{'ID':14}{'STATE':10}{'MADE':22}{'VARIABLES':>10}{'REVISIONS':>11}")
        for row in rows:
            made = str(row["create_time"])[:19]
            print(
                f"{row['id']:14}{row['state']:10}{made:22}{row['variables']:>10}{row['revisions']:>11}"
            )
    raise typer.Exit(any(row["state"] == "MISSING" for row in rows))


@keys.command("create")
def create_keys(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    lost: Annotated[
        bool,
        typer.Option("--lost", help="The one before is lost; what it encrypted must be set again."),
    ] = False,
) -> None:
    """Make a keyring in place of one that is lost. `serve` makes the first one by itself."""
    loaded = _load(config, data_dir=data_dir)
    if not lost:
        _fail("this is for a keyring that is lost: say so with --lost", code=2)
    try:
        keyring = app.create_keyring(loaded)
    except KeyringError as error:
        _fail(str(error))
    print(f"{keyring.path} is made. `skerry-controlplane doctor` names what must be set again.")


@keys.command("rotate")
def rotate_keys(config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Make a new key and encrypt with it from now on, also in a control plane that is serving. Old values stay readable."""
    loaded = _load(config, data_dir=data_dir)
    try:
        key = app.open_keyring(loaded, SystemClock()).rotate(datetime.datetime.now(datetime.UTC))
    except (app.StartError, KeyringError, SkerryError) as error:
        _fail(str(error))
    print(
        f"{key.id} encrypts from now on. Back up {loaded.keyring_path}; then encrypt the old values anew: "
        "`skerry-controlplane keys reencrypt --retire`"
    )


@keys.command("reencrypt")
def reencrypt_values(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    retire: Annotated[
        bool, typer.Option("--retire", help="Then take the keys out that encrypt nothing more.")
    ] = False,
) -> None:
    """Encrypt with the newest key what is encrypted with older ones. Works beside a serving control plane; may be repeated."""
    loaded = _load(config, data_dir=data_dir)
    try:
        done = asyncio.run(app.reencrypt(loaded))
        print(f"{done.values} values are encrypted anew.")
        for broken in done.broken:
            print(f"cannot be decrypted: {broken}", file=sys.stderr)
        if retire:
            keyring, usage = asyncio.run(app.keys_in_use(loaded))
            for key in keyring.all_keys():
                if key.id != keyring.primary and key.id not in usage:
                    asyncio.run(app.retire_key(loaded, key.id))
                    print(f"{key.id} is retired.")
    except (app.StartError, KeyringError, SkerryError) as error:
        _fail(str(error))
    raise typer.Exit(bool(done.broken))


@keys.command("retire")
def retire_one(
    key_id: Annotated[str, typer.Argument(metavar="KEY")],
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Take a key out of the keyring. Refused while anything is encrypted with it."""
    loaded = _load(config, data_dir=data_dir)
    try:
        asyncio.run(app.retire_key(loaded, key_id))
    except (app.StartError, KeyringError, SkerryError) as error:
        _fail(str(error))
    print(f"{key_id} is retired.")


@cli.command()
def version() -> None:
    """Print the version."""
    print(VERSION)


def main() -> None:
    """The console script."""
    cli()


def _load(config: Path | None, **flags: Any) -> settings.Settings:
    try:
        loaded = settings.load(config, **flags)
    except settings.SettingsError as error:
        _fail(str(error), code=2)
    log_setup.configure(log_format=loaded.log_format, level=loaded.log_level)
    return loaded


def _show_setup_link(control_plane: app.Running) -> None:
    """On standard output and not in the log: logs are kept and shipped."""
    if control_plane.setup_link is not None:
        print(
            "Nobody can log in yet. This link makes the first owner, once, within 24 hours:\n"
            f"  skerry login --setup '{control_plane.setup_link}'\n"
            "Another one: skerry-controlplane setup-link",
            flush=True,
        )


def _fail(message: str, *, code: int = 1) -> NoReturn:
    print(f"skerry-controlplane: {message}", file=sys.stderr)
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
