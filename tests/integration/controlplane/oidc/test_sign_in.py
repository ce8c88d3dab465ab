"""Single sign-on through a control plane, with a browser that keeps cookies and a real provider."""

import contextlib
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import grpc
import httpx2
from skerry.platform.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    device_login_pb2,
    device_login_pb2_grpc,
    member_pb2,
    member_pb2_grpc,
    organization_pb2,
    organization_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)

from tests.integration.controlplane.harness import Client, Plane, control_plane, failure
from tests.integration.controlplane.oidc.provider import (
    CLIENT_ID,
    SECRET,
    Browser,
    Provider,
    back,
    free_port,
    provider,
    set_groups,
)

MAPPINGS = {"ops": ["owner"], "dev": ["developer@organizations/acme", "viewer@organizations/gone"]}
COOKIE = "skerry-session"


@dataclass
class SingleSignOn:
    """A control plane that knows a provider."""

    plane: Plane
    provider: Provider
    url: str

    async def login(self, browser: Browser, name: str = "anne") -> httpx2.Response:
        """Through the provider and back; what the callback answers."""
        start = f"{self.url}/auth/oidc/login"
        answer = await browser.login(start, name, until=f"{self.url}/auth/oidc/callback")
        return await browser.get(back(answer))

    async def session(self, name: str = "anne") -> Client:
        """What somebody may call after logging in."""
        async with Browser() as browser:
            answer = await self.login(browser, name)
            assert answer.status_code == 303, answer.text
            secret = browser.client.cookies[COOKIE]
        metadata = (("authorization", f"Bearer {secret}"),)
        return Client(session_pb2_grpc.SessionServiceStub(self.plane.channel), metadata)

    async def audited(self, method: str) -> list[tuple[str, str]]:
        answer = await self.plane.stub(audit_pb2_grpc.AuditServiceStub).ListAuditEntries(
            audit_pb2.ListAuditEntriesRequest(method=method)
        )
        return [(entry.actor, entry.result) for entry in answer.entries]


@contextlib.asynccontextmanager
async def single_sign_on(folder: Path, **settings: Any) -> AsyncIterator[SingleSignOn]:
    """Both, each knowing the other's address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n")
    async with (
        provider(folder, f"{url}/auth/oidc/callback") as running,
        control_plane(
            folder / "data",
            edge_listen=f"127.0.0.1:{port}",
            public_url=url,
            oidc_issuer=running.issuer,
            oidc_client_id=CLIENT_ID,
            oidc_client_secret_file=secret,
            oidc_scopes="openid,profile,email,groups",
            oidc_role_mappings=MAPPINGS,
            **settings,
        ) as plane,
    ):
        await plane.stub(organization_pb2_grpc.OrganizationServiceStub).CreateOrganization(
            organization_pb2.CreateOrganizationRequest(organization_id="acme")
        )
        yield SingleSignOn(plane, running, url)


def whoami(session: Client) -> Any:
    return session.WhoAmI(session_pb2.WhoAmIRequest())


async def test_a_round_trip_makes_a_user_and_a_session(tmp_path: Path) -> None:
    set_groups(tmp_path, anne=["dev", "unknown"])
    async with single_sign_on(tmp_path) as sso, Browser() as browser:
        assert (await browser.get(f"{sso.url}/auth/session")).status_code == 401
        answer = await sso.login(browser)
        assert (answer.status_code, back(answer)) == (303, f"{sso.url}/auth/session")
        assert "httponly" in answer.headers["set-cookie"].lower()
        known = (await browser.get(f"{sso.url}/auth/session")).json()
        assert known == {"principal": "users/anne", "displayName": "The anne"}
        me = await whoami(await sso.session())
        assert (me.principal, [grant.resource for grant in me.grants]) == (
            "users/anne",
            ["organizations/acme"],
        )
        assert await sso.audited("Login") == [("users/anne", "OK")] * 2
        await browser.post(f"{sso.url}/auth/logout")
        assert (await browser.get(f"{sso.url}/auth/session")).status_code == 401


async def test_roles_follow_the_groups_and_a_persons_decision_stays(tmp_path: Path) -> None:
    set_groups(tmp_path, anne=["ops"])
    async with single_sign_on(tmp_path) as sso:
        assert [grant.resource for grant in (await whoami(await sso.session())).grants] == [""]
        members = sso.plane.stub(member_pb2_grpc.MemberServiceStub)
        await members.GrantRole(
            member_pb2.GrantRoleRequest(
                resource="organizations/acme", subject="users/anne", role="viewer"
            )
        )
        listed = (await members.ListMembers(member_pb2.ListMembersRequest())).members
        assert [(item.subject, item.origin) for item in listed] == [
            ("users/admin", ""),
            ("users/anne", "oidc"),
        ]
        set_groups(tmp_path, anne=[])
        me = await whoami(await sso.session())
        assert [grant.resource for grant in me.grants] == ["organizations/acme"]


async def test_nobody_becomes_somebody_by_a_name_or_an_address(tmp_path: Path) -> None:
    async with single_sign_on(tmp_path) as sso:
        users = sso.plane.stub(user_pb2_grpc.UserServiceStub)
        await users.CreateUser(
            user_pb2.CreateUserRequest(user_id="root", email="admin@example.org")
        )
        me = await whoami(await sso.session("admin"))
        assert (me.principal, len(me.grants)) == ("users/admin-2", 0)


async def test_a_user_who_is_kept_out_stays_out(tmp_path: Path) -> None:
    async with single_sign_on(tmp_path) as sso:
        session = await sso.session()
        users = sso.plane.stub(user_pb2_grpc.UserServiceStub)
        change = user_pb2.UpdateUserRequest(user=user_pb2.User(name="users/anne", disabled=True))
        change.update_mask.paths.append("disabled")
        await users.UpdateUser(change)
        assert (await failure(whoami(session))).code is grpc.StatusCode.UNAUTHENTICATED
        async with Browser() as browser:
            refused = await sso.login(browser)
            assert (refused.status_code, COOKIE in browser.client.cookies) == (403, False)
            assert "kept out" in refused.text
        assert await sso.audited("Login") == [
            ("users/anne", "UNAUTHENTICATED"),
            ("users/anne", "OK"),
        ]


async def test_a_link_by_an_administrator_and_its_end(tmp_path: Path) -> None:
    async with single_sign_on(tmp_path, oidc_create_users=False) as sso:
        async with Browser() as browser:
            refused = await sso.login(browser)
            assert refused.status_code == 403
            assert f"--issuer {sso.provider.issuer} --subject anne" in refused.text
        users = sso.plane.stub(user_pb2_grpc.UserServiceStub)
        await users.CreateUser(user_pb2.CreateUserRequest(user_id="bob"))
        identity = {"issuer": sso.provider.issuer, "subject": "anne"}
        await users.LinkIdentity(user_pb2.LinkIdentityRequest(name="users/bob", **identity))
        session = await sso.session()
        assert (await whoami(session)).principal == "users/bob"
        found = await users.ListIdentities(user_pb2.ListIdentitiesRequest(parent="users/bob"))
        assert found.identities[0].HasField("last_login_time")
        twice = await failure(
            users.LinkIdentity(user_pb2.LinkIdentityRequest(name="users/admin", **identity))
        )
        assert twice.code is grpc.StatusCode.ALREADY_EXISTS
        await users.UnlinkIdentity(user_pb2.UnlinkIdentityRequest(name="users/bob", **identity))
        assert (await failure(whoami(session))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_an_answer_in_another_browser_is_refused_and_guessing_is_slowed(
    tmp_path: Path,
) -> None:
    async with single_sign_on(tmp_path) as sso, Browser() as browser, Browser() as victim:
        callback = f"{sso.url}/auth/oidc/callback"
        start = f"{sso.url}/auth/oidc/login"
        answer = await browser.login(start, "mallory", until=callback)
        # Mallory's answer, opened by somebody else: they must not find themselves logged in as Mallory.
        assert (await victim.get(back(answer))).status_code == 403
        await victim.get(start)
        assert (await victim.get(back(answer))).status_code == 403
        statuses = [(await victim.get(f"{callback}?state=x&code=y")).status_code for _ in range(5)]
        assert statuses[-1] == 429
        assert COOKIE not in victim.client.cookies
        assert ("", "UNAUTHENTICATED") in await sso.audited("Login")


async def test_we_are_no_signpost(tmp_path: Path) -> None:
    async with single_sign_on(tmp_path) as sso, Browser() as browser:
        for target in ("https://evil.example", "//evil.example", "/\\evil.example", "/metrics"):
            answer = await browser.login(
                f"{sso.url}/auth/oidc/login?next={target}",
                "anne",
                until=f"{sso.url}/auth/oidc/callback",
            )
            assert back(await browser.get(back(answer))) == f"{sso.url}/auth/session"


async def test_without_a_provider_nothing_of_it_is_there(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        assert (await plane.get("/auth/oidc/login"))[0] == 404


async def test_a_program_is_let_in_on_a_page_after_single_sign_on(tmp_path: Path) -> None:
    async with single_sign_on(tmp_path) as sso, Browser() as browser:
        devices = device_login_pb2_grpc.DeviceLoginServiceStub(sso.plane.channel)
        started = await devices.StartDeviceLogin(
            device_login_pb2.StartDeviceLoginRequest(client="<b>laptop</b>")
        )
        assert started.verification_uri == f"{sso.url}/device"
        page = await browser.get(f"{started.verification_uri}?user_code={started.user_code}")
        assert page.status_code == 401
        start = urljoin(sso.url, html.unescape(re.findall('href="([^"]+)"', page.text)[0]))
        answer = await browser.login(start, "anne", until=f"{sso.url}/auth/oidc/callback")
        target = back(await browser.get(back(answer)))
        page = await browser.get(target)
        assert started.user_code in page.text
        assert "&lt;b&gt;laptop" in page.text
        fields = dict(re.findall('name="([a-z_]+)" value="([^"]+)"', page.text))
        url = f"{sso.url}/device"
        forged = await browser.post(url, **{**fields, "csrf": "x", "answer": "approve"})
        assert forged.status_code == 403
        poll = device_login_pb2.PollDeviceLoginRequest(device_code=started.device_code)
        pending = await devices.PollDeviceLogin(poll)
        assert pending.state == device_login_pb2.DEVICE_LOGIN_STATE_PENDING
        done = await browser.post(url, **{**fields, "answer": "approve"})
        assert done.status_code == 200, done.text
        polled = await devices.PollDeviceLogin(poll)
        assert polled.state == device_login_pb2.DEVICE_LOGIN_STATE_APPROVED
        metadata = (("authorization", f"Bearer {polled.secret}"),)
        session = Client(session_pb2_grpc.SessionServiceStub(sso.plane.channel), metadata)
        assert (await whoami(session)).principal == "users/anne"
        assert await sso.audited("ApproveDeviceLogin") == [("users/anne", "OK")]
        assert await sso.audited("PollDeviceLogin") == [("users/anne", "OK")]
        assert (await browser.post(url, **{**fields, "answer": "deny"})).status_code == 404


async def test_a_page_without_single_sign_on_names_the_command(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        status, body = await plane.get("/device")
        assert (status, "skerry device approve" in body) == (401, True)
