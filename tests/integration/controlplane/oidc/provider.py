"""A real OpenID provider on the loopback, and a browser that logs in there. Used by the tests of single sign-on."""

import asyncio
import contextlib
import html
import json
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urljoin

import httpx2
import pytest
from joserfc.jwk import RSAKey

ROOT = Path(__file__).parents[4]
SCRIPT = Path(__file__).with_name("provider.mjs")
INSTALL = ROOT / "scripts/lib/oidc-provider"
CLIENT_ID = "skerry"
SECRET = "a-secret-of-the-tests"
NEITHER = 3
PATIENCE = 60.0


def installed() -> str:
    """The provider's folder; skips the test where it cannot run."""
    done = subprocess.run([str(INSTALL)], check=False, capture_output=True, text=True)
    if done.returncode == NEITHER:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def new_key(name: str) -> dict[str, object]:
    """A key that signs ID tokens."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"}).as_dict(
        private=True
    )


@dataclass(frozen=True)
class Provider:
    """A running one."""

    issuer: str
    port: int


@contextlib.asynccontextmanager
async def provider(
    folder: Path, redirect_uri: str, *, key: str = "first", port: int = 0
) -> AsyncIterator[Provider]:
    """Runs one; with the same port it calls itself the same as one before."""
    file = folder / f"{key}.jwk"
    file.write_text(json.dumps(new_key(key)))
    groups = folder / "groups.json"
    if not groups.exists():
        set_groups(folder)
    process = await asyncio.create_subprocess_exec(
        *("node", str(SCRIPT), installed(), str(port), redirect_uri, str(file), str(groups)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert line.strip().isdigit(), "the provider did not start"
        yield Provider(f"http://127.0.0.1:{int(line)}", int(line))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def set_groups(folder: Path, **groups: list[str]) -> None:
    """Who is in which groups from the next login on."""
    file = folder / "groups.new"
    file.write_text(json.dumps(groups))
    file.replace(folder / "groups.json")


def free_port() -> int:
    """A port that nobody has now. For what must be known before somebody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Browser:
    """Keeps cookies, follows redirects by hand and fills in the provider's forms."""

    def __init__(self) -> None:
        self.client = httpx2.AsyncClient(timeout=PATIENCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def get(self, url: str) -> httpx2.Response:
        return await self.client.get(url)

    async def post(self, url: str, **form: str) -> httpx2.Response:
        return await self.client.post(url, data=form, headers={"origin": url.split("/auth")[0]})

    async def login(self, url: str, name: str, *, until: str) -> httpx2.Response:
        """From `url` through the provider's pages, as `name`, up to the first answer that leads to, or comes from, `until`."""
        answer = await self.client.get(url)
        for _ in range(20):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["location"])
                if target.startswith(until):
                    return answer
                answer = await self.client.get(target)
                continue
            assert answer.status_code == 200, answer.text
            action = html.unescape(re.findall(r'action="([^"]+)"', answer.text)[0])
            fields = dict(re.findall(r'name="([a-z]+)" value="([^"]+)"', answer.text))
            form = {
                **fields,
                **({"login": name, "password": "x"} if "password" in answer.text else {}),
            }
            answer = await self.client.post(urljoin(str(answer.url), action), data=form)
        raise AssertionError("the provider never sent us back")


def back(answer: httpx2.Response) -> str:
    """Where a redirect leads."""
    return urljoin(str(answer.url), answer.headers["location"])
