"""Compose projects as they stand in an editor: checked by the agent, never kept. Called by `api/apps`.

One call for each pause in typing: one small read of the database, one question on the link.
"""

import re
from collections.abc import Sequence

from controlplane.domain.apps import Bundle
from controlplane.domain.bundles import check_bundle
from controlplane.domain.clusters import ConnectionState
from controlplane.domain.commands import EnvironmentSpec
from controlplane.domain.errors import InvalidField
from controlplane.domain.ids import APP_ID_MAX, check_id
from controlplane.domain.names import AppName, EnvironmentName
from controlplane.domain.projects import Environment
from controlplane.domain.sealing import Cipher
from controlplane.domain.workloads import CheckResult
from controlplane.services.environments import existing_environment
from controlplane.services.ports import Agents
from controlplane.services.presence import Presence
from controlplane.services.rollouts import deploy_command
from controlplane.services.snapshots import Snapshots
from controlplane.services.targets import never_joined, offline
from controlplane.store.database import Store

PROFILES_MAX = 50
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_UNNAMED = "app"


class CheckService:
    """Use cases of editors."""

    def __init__(self, *, store: Store, presence: Presence, agents: Agents, cipher: Cipher) -> None:
        self._store = store
        self._snapshots = Snapshots(cipher)
        self._presence = presence
        self._agents = agents

    async def check_app(
        self, parent: EnvironmentName, app_id: str, bundle: Bundle, profiles: Sequence[str]
    ) -> CheckResult:
        """What there is to say about the project; an app without an id yet is `app`.

        Raises InvalidField, RequestTooLarge, NotFound, AgentNeverJoined, AgentOffline, DeadlineExceeded, SecretUnavailable.
        """
        if app_id:
            check_id("app_id", app_id, APP_ID_MAX)
        check_bundle(bundle)
        _check_profiles(profiles)
        environment = await self._reachable(parent)
        app = AppName(parent.organization, parent.project, parent.environment, app_id or _UNNAMED)
        async with self._store.reading() as tx:
            variables = await self._snapshots.take(tx, app, bundle)
        deploy = deploy_command(
            EnvironmentSpec.of(environment), app.app, "", 0, "", bundle, variables
        )
        return await self._agents.check(environment.cluster_uid, deploy, profiles)

    async def compose_schema(self, parent: EnvironmentName) -> str:
        """The JSON Schema of compose files. Raises NotFound, AgentNeverJoined, AgentOffline, DeadlineExceeded."""
        environment = await self._reachable(parent)
        return await self._agents.compose_schema(environment.cluster_uid)

    async def _reachable(self, name: EnvironmentName) -> Environment:
        """The environment, if its agent is there to be asked."""
        async with self._store.reading() as tx:
            environment = await existing_environment(tx, name)
        if self._agents.is_connected(environment.cluster_uid):
            return environment
        if self._presence.connection(environment.cluster_uid) is ConnectionState.NEVER_JOINED:
            raise never_joined(environment.cluster)
        raise offline(environment.cluster)


def _check_profiles(profiles: Sequence[str]) -> None:
    if len(profiles) > PROFILES_MAX:
        raise InvalidField.of("profiles", f"at most {PROFILES_MAX} are allowed")
    for index, profile in enumerate(profiles):
        if _PROFILE.fullmatch(profile) is None:
            raise InvalidField.of(
                f"profiles[{index}]",
                "must be the name of a profile: letters, digits, '_', '.' and '-', not starting with one of these three",
            )
