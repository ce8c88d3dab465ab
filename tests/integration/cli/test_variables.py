"""`skerry variable` and `skerry secret` as installed, against a whole control plane."""

from __future__ import annotations

import json

import pytest

from tests.integration.cli.test_walk import Stage, stage

__all__ = ["stage"]
CANARY = "c4n4ry-hunter2-1337"


async def test_from_set_to_delete(stage: Stage) -> None:
    run = stage.skerry
    code, out, err = await run("variable", "list")
    assert (code, out) == (0, "")
    assert "No variables at environment shop/prod: skerry variable set" in err
    assert "No secrets" in (await run("secret", "list"))[2]

    await run.ok("variable", "set", "LEVEL=info", "URL=http://x?a=b", "EMPTY=")
    await run.ok("variable", "set", "LEVEL=debug", "--app", "web")
    await run.ok("variable", "set", "LEVEL=warn", "REGION=eu", "--org", "default")
    _, _, err = await run("secret", "set", "TOKEN", "-p", "shop", "--stdin", stdin=CANARY.encode())
    assert "Secret TOKEN is set at project shop" in err
    (stage.skerry.cwd / "value").write_text(f"{CANARY}\n")
    made = await run.json("secret", "set", "FILE", "--app", "web", "--from-file", "value")
    assert made["secret"] is True
    assert made["value"] == ""

    listed = await run.json("variable", "list")
    assert {v["key"]: v.get("value", "") for v in listed["variables"]} == {
        "LEVEL": "info",
        "URL": "http://x?a=b",
        "EMPTY": "",
    }
    table = await run.ok("variable", "list", "--app", "web", "--effective")
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert "debug" in rows["LEVEL"]
    assert "app shop/prod/web" in rows["LEVEL"]
    assert "environment shop/prod, organization default" in rows["LEVEL"]
    assert "(secret)" in rows["TOKEN"]
    assert "project shop" in rows["TOKEN"]
    assert (await run.ok("secret", "list", "-p", "shop")).split()[6:8] == ["TOKEN", "(secret)"]
    shown = table + json.dumps(listed) + await run.ok("secret", "list", "-p", "shop", "-o", "yaml")
    assert CANARY not in shown

    await run.ok("deploy")
    sent = dict(stage.worker.commands[-1].deploy_app.variables)
    assert sent == {
        "LEVEL": "debug",
        "URL": "http://x?a=b",
        "EMPTY": "",
        "REGION": "eu",
        "TOKEN": CANARY,
        "FILE": f"{CANARY}\n",
    }
    (revision,) = (await run.json("revisions", "web"))["revisions"]
    assert revision["variables"][1]["source"].endswith("/apps/web/variables/FILE")

    code, _, err = await run("variable", "delete", "TOKEN", "-p", "shop", "--yes")
    assert code != 0
    assert "skerry secret delete TOKEN" in err
    await run.ok("secret", "delete", "TOKEN", "-p", "shop", "--yes")
    code, _, err = await run("secret", "delete", "TOKEN", "-p", "shop", "--yes")
    assert code != 0
    assert "TOKEN is not set" in err
    assert (await run("variable", "delete", "EMPTY"))[0] == 2  # nobody to ask


async def test_an_env_file_is_imported(stage: Stage) -> None:
    run = stage.skerry
    file = run.cwd / "prod.env"
    file.write_text(f"# comment\nA=1\nexport B=\"two words\"\nC='{CANARY}'\nNOTHING\n")
    _, _, err = await run("variable", "import", "prod.env", "--app", "web")
    assert "3 variables are set at app shop/prod/web" in err
    await run.ok("variable", "import", "prod.env", "--secret")
    listed = await run.json("variable", "list")
    assert {v["key"] for v in listed["variables"] if v["secret"]} == {"A", "B", "C"}
    assert CANARY not in json.dumps(listed)
    for content, why in ((b"", "sets no variables"), (b"A=\xff", "no UTF-8")):
        file.write_bytes(content)
        code, _, err = await run("variable", "import", "prod.env")
        assert code == 2
        assert why in err
    assert (await run("variable", "import", "gone.env"))[0] == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "why"),
    [
        (["secret", "set", f"TOKEN={CANARY}"], b"", "must not be an argument"),
        (["secret", "set", "TOKEN"], b"", "give --stdin or --from-file"),
        (["secret", "set", "TOKEN", "--stdin", "--from-file", "x"], b"", "choose one"),
        (["secret", "set", "TOKEN", "--stdin"], b"\xff\xfe", "no UTF-8"),
        (["secret", "set", "TOKEN", "--stdin"], b"x" * 40_000, "larger than 32 KiB"),
        (["secret", "set", "TOKEN", "--from-file", "gone"], b"", "cannot read gone"),
        (["variable", "set", "LEVEL"], b"", "write KEY=VALUE"),
        (["variable", "set", "A=1", "--org", "default", "--app", "web"], b"", "--org names"),
        (["variable", "set", "1A=1"], b"", "not a variable's name"),
        (["variable", "list", "--env", "other"], b"", "does not exist"),
    ],
)
async def test_what_is_wrong_is_said_without_the_value(
    stage: Stage, arguments: list[str], stdin: bytes, why: str
) -> None:
    code, out, err = await stage.skerry(*arguments, stdin=stdin)
    assert code != 0
    assert why in err
    assert CANARY not in out + err
