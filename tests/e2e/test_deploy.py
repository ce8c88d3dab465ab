"""A compose project becomes running pods: the examples, a failing image and its repair, rollback, deletion."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.platform import EXAMPLES, Platform

IMAGES = str(EXAMPLES / "dev-images.env")

WEB = """
name: web
services:
  web:
    image: {image}
    command: ["sh", "-c", "echo serving {words} | tee /tmp/index.html; exec httpd -f -p 8080 -h /tmp"]
    expose: ["8080"]
    healthcheck:
      test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/"]
      interval: 5s
      start_period: 20s
      start_interval: 1s
"""
BUSYBOX = "docker.io/library/busybox:1.36"


def test_guestbook_serves_its_page_and_its_worker_answers(
    platform: Platform, environment: str
) -> None:
    platform.cli(
        "deploy", "--env", environment, "-f", str(EXAMPLES / "guestbook" / "docker-compose.yml"),
        "--env-file", str(EXAMPLES / "guestbook" / "example.env"), "--env-file", IMAGES, "--wait",
    )  # fmt: skip
    app = platform.json("app", "get", "guestbook", "--env", environment)
    assert app["state"] == "STATE_READY"
    assert {service["service"] for service in app["services"]} == {"web", "worker", "db"}

    sign = (
        "import urllib.parse as p, urllib.request as u, time\n"
        "u.urlopen('http://web:8000', p.urlencode({'author': 'Ada', 'words': 'hello'}).encode())\n"
        "until = time.time() + 30\n"
        "while b'Thank you, Ada!' not in (page := u.urlopen('http://web:8000').read()) and time.time() < until: time.sleep(0.2)\n"
        "print(page.decode())\n"
    )
    page = platform.cli(
        "exec", "--env", environment, "guestbook/web", "--", "python3", "-c", sign
    ).stdout.decode()
    assert "Welcome to Skerry" in page
    assert "Thank you, Ada!" in page


def test_guestbook_without_its_password_is_refused_with_the_place(
    platform: Platform, environment: str
) -> None:
    done = platform.cli(
        "deploy", "--env", environment, "-f", str(EXAMPLES / "guestbook" / "docker-compose.yml"),
        "--env-file", IMAGES, "--wait", check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"docker-compose.yml:10:" in done.stderr
    assert b"choose a password for the database" in done.stderr
    assert not platform.kubectl(
        "get", "deploy,sts,pod,pvc", "-n", _namespace(platform, environment), "-o", "name"
    )


def test_static_site_starts_when_its_job_has_succeeded(
    platform: Platform, environment: str
) -> None:
    platform.cli(
        "deploy", "--env", environment, "-f", str(EXAMPLES / "static-site" / "docker-compose.yml"),
        "--env-file", IMAGES, "--wait",
    )  # fmt: skip
    page = platform.cli(
        "exec",
        "--env",
        environment,
        "static-site/web",
        "--",
        "wget",
        "-q",
        "-O",
        "-",
        "http://web:8080/",
    ).stdout
    assert b"<h1>A small site</h1>" in page
    assert b"Built by a job that ran once." in page


def test_quotes_is_served_by_each_replica_of_the_override(
    platform: Platform, environment: str
) -> None:
    folder = EXAMPLES / "quotes"
    platform.cli(
        "deploy", "--env", environment, "-f", str(folder / "docker-compose.yml"), "-f", str(folder / "production.yml"),
        "--env-file", IMAGES, "--wait",
    )  # fmt: skip
    ask = (
        "import json, urllib.request as u\n"
        "answers = [json.loads(u.urlopen('http://gateway:8080').read()) for _ in range(60)]\n"
        "print(len({a['pod'] for a in answers}), answers[0]['greeting'], answers[0]['language'])\n"
    )
    told = platform.cli(
        "exec", "--env", environment, "quotes/gateway", "--", "python3", "-c", ask
    ).stdout.decode()
    assert told.strip() == "3 quotes, in production en"


def test_a_missing_image_fails_in_plain_words_and_a_second_deploy_repairs_it(
    platform: Platform, environment: str, project: Path
) -> None:
    compose = project / "docker-compose.yml"
    compose.write_text(WEB.format(image="skerry.local/no-such-image:1", words="never"))
    failed = platform.cli("deploy", "--env", environment, "-f", str(compose), "--wait", check=False)
    assert failed.returncode == 1
    assert b"skerry.local/no-such-image:1" in failed.stderr + failed.stdout
    assert platform.json("app", "get", "web", "--env", environment)["state"] == "STATE_FAILED"

    compose.write_text(WEB.format(image=BUSYBOX, words="one"))
    platform.cli("deploy", "--env", environment, "-f", str(compose), "--wait")
    app = platform.json("app", "get", "web", "--env", environment)
    assert app["state"] == "STATE_READY"
    assert int(app["servingRevision"]) == 2


def test_a_failed_rollout_leaves_the_old_revision_serving_and_rollback_deploys_it_again(
    platform: Platform, environment: str, project: Path
) -> None:
    compose = project / "docker-compose.yml"
    compose.write_text(WEB.format(image=BUSYBOX, words="one"))
    platform.cli("deploy", "--env", environment, "-f", str(compose), "--wait")
    compose.write_text(WEB.format(image="skerry.local/no-such-image:2", words="two"))
    assert (
        platform.cli(
            "deploy", "--env", environment, "-f", str(compose), "--wait", check=False
        ).returncode
        == 1
    )

    answer = platform.cli(
        "exec", "--env", environment, "web/web", "--", "wget", "-q", "-O", "-", "http://web:8080/"
    )
    assert answer.stdout == b"serving one\n"

    platform.cli("rollback", "--env", environment, "web", "--wait")
    app = platform.json("app", "get", "web", "--env", environment)
    assert app["state"] == "STATE_READY"
    assert int(app["servingRevision"]) == int(app["wantedRevision"]) == 1


@pytest.mark.parametrize("delete_volumes", [False, True])
def test_delete_keeps_volumes_unless_told_otherwise(
    platform: Platform, environment: str, delete_volumes: bool
) -> None:
    platform.cli(
        "deploy", "--env", environment, "-f", str(EXAMPLES / "static-site" / "docker-compose.yml"),
        "--env-file", IMAGES, "--wait",
    )  # fmt: skip
    flags = ["--delete-volumes"] if delete_volumes else []
    platform.cli("app", "delete", "static-site", "--env", environment, "--yes", "--wait", *flags)
    namespace = _namespace(platform, environment)
    assert not platform.kubectl(
        "get", "deploy,job,svc,secret,cm", "-n", namespace, "-l", "skerry.dev/app", "-o", "name"
    )
    claims = platform.kubectl("get", "pvc", "-n", namespace, "-o", "name").split()
    assert claims == ([] if delete_volumes else ["persistentvolumeclaim/static-site-site"])


def test_plan_changes_nothing_and_shows_the_difference(
    platform: Platform, environment: str, project: Path
) -> None:
    compose = project / "docker-compose.yml"
    compose.write_text(WEB.format(image=BUSYBOX, words="one"))
    platform.cli("deploy", "--env", environment, "-f", str(compose), "--wait")
    compose.write_text(WEB.format(image=BUSYBOX, words="two"))
    shown = platform.cli("plan", "--env", environment, "-f", str(compose)).stdout.decode()
    assert "+" in shown
    assert "echo serving two" in shown
    logs = platform.cli("logs", "--env", environment, "web").stdout
    assert b"serving one" in logs
    assert b"serving two" not in logs


def _namespace(platform: Platform, environment: str) -> str:
    return str(platform.json("env", "get", environment)["namespace"])
