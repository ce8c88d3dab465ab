"""Real apps with names of many kinds, and every way to put files into a container."""

from __future__ import annotations

import pytest

from agent.kube import KubeClient
from tests.integration.compose.sample.meaning import findings
from tests.unit.compose.corpus.files import needs_corpus

APPS = (
    # Names with an underscore.
    *("dokploy/filestash", "dokploy/nocodb", "dokploy/aptabase"),
    # Container names, links, networks.
    *("awesome/elasticsearch-logstash-kibana", "awesome/nextcloud-redis-mariadb"),
    *("awesome/prometheus-grafana", "kompose/change-in-volume", "kompose/v3.0"),
    *("kompose/service-group", "kompose/envfile-interpolation"),
    # Env files, bind mounts, anonymous volumes, tmpfs, volumes_from, read-only, entrypoint.
    *("kompose/env-multiple", "kompose/configmap-volume", "kompose/volume-mounts/tmpfs"),
    "kompose/volume-mounts/volumes-from/docker-compose-case.yml",
    *("kompose/unused/v3/docker-compose-volumes.yaml", "kompose/read-only"),
    "kompose/entrypoint-command",
    # Configs and secrets.
    "kompose/secrets/docker-compose-secrets-long.yml",
    "kompose/compose-v3.3-test/compose-config-short.yaml",
    "kompose/compose-v3.3-test/compose-config-long.yaml",
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), needs_corpus]


async def test_apps_with_names_and_files_mean_what_compose_means(kube: KubeClient) -> None:
    assert await findings(kube, APPS) == []
