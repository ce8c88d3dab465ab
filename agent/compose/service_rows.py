"""Rows of the table of keys for a service: what it runs, its ports, volumes and neighbours."""

from __future__ import annotations

from agent.compose.key import Key, Shape, as_parent, changed, converted, ignored, refused

_S = Shape
_REMOVE = "Remove the line."
_COOLIFY = "this is a key of the Coolify dialect, not of compose"

SERVICE: tuple[Key, ...] = (
    converted("image", _S.TEXT, "container image"),
    refused(
        "build",
        _S.BUILD,
        "CMP202",
        "images are not built here",
        "Build and push the image, then name it with image:.",
    ),
    *(
        as_parent(f"build.{name}", _S.ANY)
        for name in (
            *("context", "dockerfile", "dockerfile_inline", "entitlements", "args", "ssh"),
            *("labels", "cache_from", "cache_to", "no_cache", "no_cache_filter"),
            *("additional_contexts", "network", "provenance", "sbom", "pull", "target"),
            *("shm_size", "extra_hosts", "isolation", "privileged", "secrets", "tags"),
            *("ulimits", "platforms"),
        )
    ),
    converted(
        "command", _S.COMMAND, "container args; every $ is doubled where Kubernetes expands it"
    ),
    converted(
        "entrypoint", _S.COMMAND, "container command; without command the image's CMD is dropped"
    ),
    converted("environment", _S.PAIRS, "one Secret a service, read with envFrom"),
    converted("env_file", _S.ENV_FILES, "merged into the same Secret; environment wins"),
    converted("env_file.[].path", _S.TEXT, "file of the bundle"),
    converted("env_file.[].required", _S.FLAG, "false: the file may be absent"),
    converted("env_file.[].format", _S.TEXT, "raw: no quotes and no interpolation"),
    converted("label_file", _S.TEXTS, "labels from files of the bundle; see labels"),
    converted(
        "ports", _S.PORTS, "ports of the container and the Service; published ports stay inside"
    ),
    converted("ports.[].target", _S.TEXT, "container and Service port"),
    converted("ports.[].published", _S.TEXT, "a wish for exposure; no port is opened on a node"),
    converted("ports.[].protocol", _S.TEXT, "tcp or udp"),
    converted("ports.[].host_ip", _S.TEXT, "a loopback address: not public"),
    converted("ports.[].app_protocol", _S.TEXT, "the Service port's appProtocol"),
    converted("ports.[].name", _S.TEXT, "a hint whether the port is HTTP"),
    changed("ports.[].mode", _S.TEXT, "CMP232", "no port is opened on a node", "", ("ingress",)),
    converted("expose", _S.TEXTS, "container and Service ports"),
    converted("volumes", _S.MOUNTS, "volume mounts"),
    converted(
        "volumes.[].type", _S.TEXT, "volume, bind (relative), tmpfs and image; others are refused"
    ),
    converted(
        "volumes.[].source",
        _S.TEXT,
        "the volume, the image, or a path of the bundle; host paths are refused",
    ),
    converted("volumes.[].target", _S.TEXT, "mount path"),
    converted("volumes.[].read_only", _S.FLAG, "read-only mount"),
    ignored("volumes.[].consistency", _S.TEXT, "CMP420", "it has no effect on Linux"),
    converted("volumes.[].bind", _S.MAPPING, "see its keys"),
    refused(
        "volumes.[].bind.propagation",
        _S.TEXT,
        "CMP332",
        "mount propagation reaches the node",
        _REMOVE,
        ("private", "rprivate"),
    ),
    ignored("volumes.[].bind.create_host_path", _S.FLAG, "CMP420", "there is no host path"),
    ignored("volumes.[].bind.recursive", _S.TEXT, "CMP420", "there are no nested mounts"),
    ignored("volumes.[].bind.selinux", _S.TEXT, "CMP420", "the cluster labels volumes itself"),
    converted("volumes.[].volume", _S.MAPPING, "see its keys"),
    ignored("volumes.[].volume.labels", _S.PAIRS, "CMP407", "labels are not carried over"),
    converted(
        "volumes.[].volume.nocopy",
        _S.FLAG,
        "true: the image's files are not copied",
    ),
    converted("volumes.[].volume.subpath", _S.TEXT, "folder within the volume"),
    converted("volumes.[].tmpfs", _S.MAPPING, "see its keys"),
    converted("volumes.[].tmpfs.size", _S.SIZE, "size limit of the memory volume"),
    changed("volumes.[].tmpfs.mode", _S.TEXT, "CMP415", "the mode of a memory volume is 0777"),
    converted("volumes.[].image", _S.MAPPING, "see its keys; the image is read-only"),
    converted("volumes.[].image.subpath", _S.TEXT, "folder within the image"),
    *(
        refused(f"volumes.[].{name}", _S.ANY, "CMP163", _COOLIFY, hint)
        for name, hint in (
            ("content", "Write the text with configs: and content:."),
            ("is_directory", _REMOVE),
            ("isDirectory", _REMOVE),
            ("mode", "Write a file with configs:, which has a mode."),
        )
    ),
    converted("volumes_from", _S.TEXTS, "the other service's mounts; container: is refused"),
    converted("healthcheck", _S.MAPPING, "startup and readiness probes; never a restart"),
    converted("healthcheck.test", _S.COMMAND, "the probes' command"),
    converted("healthcheck.disable", _S.FLAG, "true: no probes"),
    converted("healthcheck.interval", _S.DURATION, "period of the readiness probe, at least 10s"),
    converted("healthcheck.timeout", _S.DURATION, "timeout of the probes"),
    converted("healthcheck.retries", _S.WHOLE, "failures until not ready"),
    converted("healthcheck.start_period", _S.DURATION, "part of the startup probe's patience"),
    converted("healthcheck.start_interval", _S.DURATION, "period of the startup probe"),
    converted(
        "depends_on", _S.DEPENDENCIES, "waiting init container, or an earlier wave for a Job"
    ),
    converted("depends_on.*", _S.MAPPING, "the service to wait for"),
    converted("depends_on.*.condition", _S.TEXT, "started, healthy or completed successfully"),
    converted("depends_on.*.required", _S.FLAG, "false: an absent service is not waited for"),
    converted(
        "depends_on.*.restart", _S.FLAG, "true: a change of the dependency replaces the pods too"
    ),
    converted("restart", _S.TEXT, "Deployment, or Job for no and on-failure"),
    converted("scale", _S.WHOLE, "replicas"),
    converted("container_name", _S.TEXT, "one more DNS name for the service"),
    converted("hostname", _S.TEXT, "host name of the pod and one more DNS name"),
    changed("domainname", _S.TEXT, "CMP405", "the cluster decides the domain", _REMOVE),
    converted("networks", _S.ATTACHMENTS, "membership; see networks"),
    converted("networks.*", _S.MAPPING, "the network"),
    converted("networks.*.aliases", _S.TEXTS, "more DNS names for the service"),
    changed("networks.*.ipv4_address", _S.TEXT, "CMP406", "addresses are the cluster's"),
    changed("networks.*.ipv6_address", _S.TEXT, "CMP406", "addresses are the cluster's"),
    changed("networks.*.link_local_ips", _S.TEXTS, "CMP406", "addresses are the cluster's"),
    changed("networks.*.mac_address", _S.TEXT, "CMP406", "addresses are the cluster's"),
    ignored("networks.*.interface_name", _S.TEXT, "CMP420", "a pod has one interface, eth0"),
    ignored(
        "networks.*.driver_opts", _S.NAMED, "CMP420", "the cluster's network has no such options"
    ),
    as_parent("networks.*.driver_opts.*", _S.ANY),
    ignored("networks.*.priority", _S.TEXT, "CMP420", "a pod has one interface"),
    ignored("networks.*.gw_priority", _S.TEXT, "CMP420", "a pod has one interface"),
    converted(
        "network_mode",
        _S.TEXT,
        "bridge: nothing; none: no peers, no internet; service: one pod with that service; "
        "others are refused",
    ),
    converted("links", _S.TEXTS, "depends_on, and the alias as one more DNS name"),
    refused(
        "external_links",
        _S.TEXTS,
        "CMP302",
        "containers of other projects are not reachable",
        "Deploy both in one app, or publish the other one.",
    ),
    converted(
        "extra_hosts", _S.HOSTS, "hostAliases; addresses of nodes and the cluster are refused"
    ),
    converted("dns", _S.TEXTS, "more name servers behind the cluster's own"),
    converted("dns_search", _S.TEXTS, "more search domains"),
    converted("dns_opt", _S.TEXTS, "resolver options"),
    ignored(
        "labels",
        _S.PAIRS,
        "CMP407",
        "kept as annotations label.skerry.dev/NAME of the workload; those of traefik and kompose are "
        "hints",
    ),
    converted(
        "annotations",
        _S.PAIRS,
        "annotations of the pod: those of prometheus.io by their name, others as "
        "annotation.skerry.dev/NAME; reserved ones are refused",
    ),
    converted("user", _S.TEXT, "runAsUser and runAsGroup; a name must be a known one"),
    converted("group_add", _S.TEXTS, "supplementalGroups; numbers only"),
    converted("working_dir", _S.TEXT, "workingDir"),
    converted("read_only", _S.FLAG, "readOnlyRootFilesystem"),
    converted("tmpfs", _S.TEXTS, "memory volumes"),
    converted("shm_size", _S.SIZE, "memory volume at /dev/shm"),
    converted("tty", _S.FLAG, "tty"),
    converted("stdin_open", _S.FLAG, "stdin"),
    converted("init", _S.FLAG, "shareProcessNamespace: the pod's first process reaps orphans"),
    converted("stop_grace_period", _S.DURATION, "terminationGracePeriodSeconds, at most 300"),
    changed(
        "stop_signal",
        _S.TEXT,
        "CMP403",
        "a shell of the image sends it before SIGTERM; without one, or where processes are shared, "
        "there is SIGTERM only",
        "Set STOPSIGNAL in the image.",
        ("SIGTERM", "TERM", "15"),
    ),
    converted("pre_start", _S.LIST, "init containers, in order, after dependencies are waited for"),
    converted("pre_start.[].image", _S.TEXT, "image of the init container; else the service's"),
    as_parent("pre_start.[].per_replica", _S.FLAG),
    converted("post_start", _S.LIST, "lifecycle.postStart; several are joined in a shell"),
    converted("pre_stop", _S.LIST, "lifecycle.preStop; several are joined in a shell"),
    *(
        row
        for hook in ("pre_start", "post_start", "pre_stop")
        for row in (
            converted(f"{hook}.[].command", _S.COMMAND, "what is run"),
            converted(f"{hook}.[].environment", _S.PAIRS, "more variables for it"),
            converted(f"{hook}.[].working_dir", _S.TEXT, "where it runs"),
            converted(
                f"{hook}.[].user",
                _S.TEXT,
                "runAsUser of the init container"
                if hook == "pre_start"
                else "reported: it runs as the container's user",
            ),
            converted(f"{hook}.[].privileged", _S.FLAG, "true is refused"),
        )
    ),
    converted("configs", _S.GRANTS, "one file mount each"),
    converted("secrets", _S.GRANTS, "one file mount each, below /run/secrets"),
    *(
        row
        for group in ("configs", "secrets")
        for row in (
            converted(f"{group}.[].source", _S.TEXT, f"name below top-level {group}"),
            converted(f"{group}.[].target", _S.TEXT, "path of the file"),
            changed(f"{group}.[].uid", _S.TEXT, "CMP412", "the file belongs to root", "", ("0",)),
            changed(f"{group}.[].gid", _S.TEXT, "CMP412", "the file belongs to root", "", ("0",)),
            converted(f"{group}.[].mode", _S.TEXT, "mode of the file; write bits have no effect"),
        )
    ),
)
