"""What is known about images by their name alone: customary ports, data stores, users.

Port discovery and the guess which service is public use it; it never decides about security.
"""

from __future__ import annotations

import re

_PORTS: dict[str, tuple[int, ...]] = {
    "postgres": (5432,),
    "postgresql": (5432,),
    "postgis": (5432,),
    "pgvector": (5432,),
    "timescaledb": (5432,),
    "pgvecto-rs": (5432,),
    "pgbouncer": (5432,),
    "mysql": (3306,),
    "mariadb": (3306,),
    "percona": (3306,),
    "mssql": (1433,),
    "mongo": (27017,),
    "mongodb": (27017,),
    "redis": (6379,),
    "redis-stack": (6379,),
    "redis-stack-server": (6379,),
    "valkey": (6379,),
    "keydb": (6379,),
    "dragonfly": (6379,),
    "memcached": (11211,),
    "rabbitmq": (5672, 15672),
    "nats": (4222,),
    "kafka": (9092,),
    "zookeeper": (2181,),
    "elasticsearch": (9200,),
    "opensearch": (9200,),
    "meilisearch": (7700,),
    "typesense": (8108,),
    "clickhouse": (8123, 9000),
    "clickhouse-server": (8123, 9000),
    "influxdb": (8086,),
    "minio": (9000, 9001),
    "qdrant": (6333, 6334),
    "couchdb": (5984,),
    "cassandra": (9042,),
    "etcd": (2379,),
    "mosquitto": (1883,),
    "nginx": (80,),
    "httpd": (80,),
    "caddy": (80, 443),
    "traefik": (80,),
    "wordpress": (80,),
    "phpmyadmin": (80,),
    "adminer": (8080,),
    "tomcat": (8080,),
    "grafana": (3000,),
    "prometheus": (9090,),
    "gotenberg": (3000,),
    "browserless": (3000,),
    "mailhog": (1025, 8025),
    "mailpit": (1025, 8025),
    "actual-server": (5006,),
    "adguardhome": (3000,),
    "audiobookshelf": (80,),
    "baserow": (80,),
    "changedetection.io": (5000,),
    "directus": (8055,),
    "dozzle": (8080,),
    "drupal": (80,),
    "excalidraw": (80,),
    "filebrowser": (80,),
    "flowise": (3000,),
    "forgejo": (3000,),
    "freshrss": (80,),
    "ghost": (2368,),
    "gitea": (3000,),
    "gitlab-ce": (80,),
    "home-assistant": (8123,),
    "immich-server": (2283,),
    "it-tools": (80,),
    "jellyfin": (8096,),
    "jenkins": (8080,),
    "joomla": (80,),
    "kavita": (5000,),
    "keycloak": (8080,),
    "langfuse": (3000,),
    "linkding": (9090,),
    "mattermost-team-edition": (8065,),
    "memos": (5230,),
    "metabase": (3000,),
    "miniflux": (8080,),
    "mongo-express": (8081,),
    "n8n": (5678,),
    "navidrome": (4533,),
    "nextcloud": (80,),
    "nocodb": (8080,),
    "node-red": (1880,),
    "ollama": (11434,),
    "open-webui": (8080,),
    "outline": (3000,),
    "paperless-ngx": (8000,),
    "pgadmin4": (80,),
    "photoprism": (2342,),
    "plausible": (8000,),
    "portainer-ce": (9000,),
    "redisinsight": (5540,),
    "registry": (5000,),
    "rocket.chat": (3000,),
    "searxng": (8080,),
    "sonarqube": (9000,),
    "stirling-pdf": (8080,),
    "strapi": (1337,),
    "syncthing": (8384,),
    "umami": (3000,),
    "uptime-kuma": (3001,),
    "vaultwarden": (80,),
    "wikijs": (3000,),
}
_DATA_STORES = frozenset(
    {
        *("postgres", "postgresql", "postgis", "pgvector", "timescaledb", "pgvecto-rs"),
        *("pgbouncer", "mysql", "mariadb", "percona", "mssql", "mongo", "mongodb", "redis"),
        *("redis-stack", "redis-stack-server", "valkey", "keydb", "dragonfly", "memcached"),
        *("rabbitmq", "nats", "kafka", "zookeeper", "elasticsearch", "opensearch"),
        *("meilisearch", "typesense", "clickhouse", "clickhouse-server", "influxdb", "minio"),
        *("qdrant", "couchdb", "cassandra", "etcd", "mosquitto"),
    }
)
_FORGETFUL = frozenset(
    {
        *("redis", "redis-stack", "redis-stack-server", "valkey", "keydb", "dragonfly"),
        *("memcached", "rabbitmq", "nats", "pgbouncer", "zookeeper", "mosquitto"),
    }
)
"""Data stores that are often run without keeping anything."""
_DATA_STORE_NAME = re.compile(
    r"(^|[-_.])(postgres(ql)?|mysql|mariadb|mongo(db)?|redis|valkey|db|database)([-_.]|$)"
)
_HTTP_PORTS = frozenset(
    {
        *(80, 443, 591, 1337, 2368, 3000, 3001, 3002, 3010, 3100, 3333, 4000, 4200, 4321, 5000),
        *(5001, 5173, 5601, 6875, 7700, 8000, 8001, 8008, 8069, 8080, 8081, 8083, 8086, 8088),
        *(1880, 2283, 2342, 4533, 5006, 5230, 5540, 5678, 5984, 6333, 8055, 8065, 8384, 11434),
        *(8089, 8090, 8096, 8123, 8200, 8443, 8501, 8787, 8888, 9000, 9001, 9080, 9090, 9443),
    }
)
_OTHER_PROTOCOLS = frozenset(
    {
        *(21, 22, 23, 25, 53, 110, 143, 389, 465, 587, 636, 993, 995, 1433, 1521, 1883, 2049),
        *(2181, 2379, 3306, 3389, 4222, 5432, 5672, 6379, 8883, 9042, 9092, 11211, 25565, 27017),
        *(2222, 22222, 1025),
    }
)
_USERS: dict[str, int] = {"root": 0, "nobody": 65534}
_IMAGE_USERS: dict[tuple[str, str], int] = {
    ("postgres", "postgres"): 999,
    ("redis", "redis"): 999,
    ("mysql", "mysql"): 999,
    ("mariadb", "mysql"): 999,
    ("mongo", "mongodb"): 999,
    ("node", "node"): 1000,
    ("grafana", "grafana"): 472,
    ("nginx", "nginx"): 101,
    ("elasticsearch", "elasticsearch"): 1000,
}
_ALPINE_POSTGRES = 70
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*", re.ASCII)


def is_image_name(text: str) -> bool:
    """Whether the text can name an image; a registry may still not have it."""
    return _NAME.fullmatch(text) is not None


def base_name(image: str) -> str:
    """The last part of the image's name without tag and digest: `ghcr.io/x/redis:7` is `redis`."""
    return image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0].lower()


def repository(image: str) -> str:
    """The image's name without registry, tag and digest: `docker.io/minio/minio:1` is
    `minio/minio`."""
    name = image.partition("@")[0].lower()
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        name = rest
    return name.rpartition(":")[0] if ":" in name.rsplit("/", 1)[-1] else name


def known_ports(image: str) -> tuple[int, ...]:
    """Ports an image of this name customarily listens on; empty if none are known."""
    return _PORTS.get(base_name(image), ())


def is_data_store(image: str) -> bool:
    """Whether the image is a database, cache, queue or search engine."""
    name = base_name(image)
    return name in _DATA_STORES or _DATA_STORE_NAME.search(name) is not None


def keeps_data(image: str) -> bool:
    """Whether the image is a data store that is useless without its data."""
    name = base_name(image)
    return name in _DATA_STORES and name not in _FORGETFUL


def looks_http(port: int) -> bool:
    return port in _HTTP_PORTS


def is_other_protocol(port: int) -> bool:
    """Whether the port customarily speaks something that is not HTTP."""
    return port in _OTHER_PROTOCOLS


def user_id(name: str, image: str) -> int | None:
    """Number of a named user, None where the image decides."""
    if name in _USERS:
        return _USERS[name]
    base = base_name(image)
    if (base, name) == ("postgres", "postgres") and "alpine" in image:
        return _ALPINE_POSTGRES
    return _IMAGE_USERS.get((base, name))
