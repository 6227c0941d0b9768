"""The files of deploy/ name what exists, and the programs that are here can read them."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from loadtest.parts import Nginx, free_port

pytestmark = pytest.mark.once

ROOT = Path(settings.BASE_DIR)
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
PAGE = (ROOT / "project/docs/environment.md").read_text()
SCRIPTS = sorted(DEPLOY.glob("*.sh"))


def known(name: str) -> bool:
    """Whether the page of variables has it, as it stands or as the path of a file."""
    return f"`{name}`" in PAGE or f"`{name.removesuffix('_FILE')}`" in PAGE


def test_compose_sets_only_variables_that_docket_reads():
    for service in ("web", "worker"):
        assert [name for name in SERVICES[service]["environment"] if not known(name)] == []


def test_compose_sets_all_that_has_no_default_but_what_a_site_says_itself():
    required = set(re.findall(r"^\| `(\w+)`", PAGE.partition("## Database")[0], re.MULTILINE))
    given = {name.removesuffix("_FILE") for name in SERVICES["web"]["environment"]}
    assert required - given == {"ALLOWED_HOSTS", "CORS_ALLOWED_ORIGINS"}
    assert all(f"{name}=" in (ROOT / "project/docs/deploy.md").read_text() for name in required - given)


def test_the_guide_and_the_image_set_only_variables_that_docket_reads():
    guide = re.findall(r"^([A-Z_]+)=", (ROOT / "project/docs/deploy.md").read_text(), re.MULTILINE)
    image = re.findall(r"\b((?:DOCKET|DJANGO|POSTGRES)_[A-Z_]+)=", (DEPLOY / "Dockerfile").read_text())
    assert len(guide) > 10
    assert [name for name in guide + image if not known(name)] == []


PLATFORMS = DEPLOY / "platforms"


def set_on_platforms() -> dict[str, set[str]]:
    """The variables that each platform's file sets or tells of."""
    kubernetes = [one["data"] for one in yaml.safe_load_all((PLATFORMS / "kubernetes.yaml").read_text()) if one["kind"] == "ConfigMap"]
    secrets = re.findall(r"--from-literal=([A-Z_]+)=", (PLATFORMS / "kubernetes.yaml").read_text())
    task = json.loads((PLATFORMS / "ecs-task.json").read_text())["containerDefinitions"]
    railway = re.findall(r"\b([A-Z]+_[A-Z_]+)[ =](?!\})", (PLATFORMS / "railway.toml").read_text().partition("[build]")[0])
    return {
        "kubernetes": {*kubernetes[0], *secrets},
        "ecs": {one["name"] for container in task for one in [*container["environment"], *container["secrets"]]},
        "railway": set(railway) - {"RAILWAY_RUN_UID"},
    }


@pytest.mark.parametrize("platform", ["kubernetes", "ecs", "railway"])
def test_a_platform_sets_what_has_no_default_and_only_what_docket_reads(platform):
    names = set_on_platforms()[platform]
    assert [name for name in names if not known(name)] == []
    assert names >= {"DJANGO_SECRET_KEY", "ALLOWED_HOSTS", "CORS_ALLOWED_ORIGINS", "DATABASE_URL", "DOCKET_BEHIND_PROXY"}


def test_platforms_start_docket_closed_and_by_its_entrypoint():
    pods = [
        one["spec"]["template"]["spec"]
        for one in yaml.safe_load_all((PLATFORMS / "kubernetes.yaml").read_text())
        if one["kind"] == "Deployment"
    ]
    for pod in pods:
        (container,) = pod["containers"]
        assert (pod["securityContext"]["runAsNonRoot"], container["securityContext"]["readOnlyRootFilesystem"]) == (True, True)
    task = json.loads((PLATFORMS / "ecs-task.json").read_text())["containerDefinitions"]
    assert [(one["user"], one["readonlyRootFilesystem"]) for one in task] == [("1000:1000", True)] * 2
    railway = tomllib.loads((PLATFORMS / "railway.toml").read_text())
    assert (ROOT / railway["build"]["dockerfilePath"]).exists()
    started = {pod["containers"][0]["args"][0] for pod in pods} | {one["command"][0] for one in task}
    started.add(railway["deploy"]["startCommand"].removeprefix("deploy/entrypoint.sh "))
    assert started == {"web", "worker", "all"}
    assert all(f"\n{word})" in (DEPLOY / "entrypoint.sh").read_text() for word in started - {"web"})


def test_the_pipeline_starts_what_is_there():
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        (job,) = yaml.safe_load(path.read_text())["jobs"].values()
        words = [word for step in job["steps"] for word in step.get("run", "").split()]
        programs = [word for word in words if word.startswith((".ci/", "loadtest/"))]
        assert programs
        assert all((ROOT / word).exists() for word in programs), path.name


def test_what_compose_mounts_and_asks_for_is_there():
    made = set(COMPOSE["volumes"])
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            # The site's own certificate, and the answers to whoever gives it one.
            assert source in made or source in ("./tls", "./acme") or (DEPLOY / source).exists(), source
        for secret in service.get("secrets", []):
            assert (secret if isinstance(secret, str) else secret["source"]) in COMPOSE["secrets"]
        assert set(service.get("depends_on", [])) <= set(SERVICES)


def test_compose_starts_docket_closed():
    for name in ("web", "worker"):
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx", "prometheus", "grafana"]


def test_the_image_copies_what_exists_and_everything_that_docket_needs():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()[1:-1]]
    assert [path for path in copied if not (ROOT / path).exists()] == []
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in == set(copied)
    assert {"apps", "project", "templates", "fixtures", "manage.py", "deploy/gunicorn.conf.py"} <= let_in
    assert sum(line.startswith("FROM") for line in lines) == 2
    assert "USER docket" in lines


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_valid(script):
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    if shutil.which("shellcheck"):
        found = subprocess.run(["shellcheck", "--severity=error", script], capture_output=True, text=True, check=False)
        assert found.stdout == ""


def clean(**variables: str) -> dict[str, str]:
    """The environment of a container: nothing of this test run but where the programs are."""
    return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **variables}


def test_a_container_without_a_key_ends_with_one_sentence(tmp_path):
    run = subprocess.run(
        [DEPLOY / "entrypoint.sh", "web"], env=clean(DOCKET_VAR_DIR=str(tmp_path)), capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "DJANGO_SECRET_KEY is not set" in run.stderr
    assert "Traceback" not in run.stderr
    assert "wait for the database" not in run.stderr


def test_a_container_runs_any_other_command_as_it_stands():
    run = subprocess.run([DEPLOY / "entrypoint.sh", "echo", "as it stands"], env=clean(), capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("as it stands\n", "")


def test_the_health_check_fails_where_nobody_answers():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))  # taken, and nobody listens
        environment = clean(PORT=str(door.getsockname()[1]), ALLOWED_HOSTS=".docket.test")
        run = subprocess.run([sys.executable, DEPLOY / "healthcheck.py"], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("Docket does not answer")


def test_the_health_check_asks_the_application_under_a_name_that_it_serves(live_server, settings):
    settings.ALLOWED_HOSTS = ["docket.test"]
    settings.DEBUG = False
    environment = clean(PORT=live_server.url.rpartition(":")[2], ALLOWED_HOSTS="docket.test,web")
    subprocess.run([sys.executable, DEPLOY / "healthcheck.py"], env=environment, check=True)


def test_no_location_of_nginx_drops_the_headers_of_its_server():
    text = (DEPLOY / "nginx.conf").read_text()
    locations = re.findall(r"^    location [^{]*\{(.*?)^    \}", text, re.MULTILINE | re.DOTALL)
    assert len(locations) == text.count("    location ") >= 5
    assert [inside for inside in locations if "add_header" in inside] == []
    assert "/health" not in text  # it is the application's answer


@pytest.mark.skipif(not shutil.which("nginx") or not shutil.which("openssl"), reason="there is no nginx or no openssl")
def test_nginx_reads_its_file(tmp_path):
    key, certificate = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=docket.test"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], capture_output=True, check=True)
    site = (DEPLOY / "nginx.conf").read_text().replace("web:8000", "127.0.0.1:8000").replace("/etc/nginx/tls", str(tmp_path))
    # Ports that anybody may open, and files in a folder of this test.
    site = re.sub(r"\[::\]:(80|443)\b", r"[::1]:8\1", re.sub(r"listen (80|443)\b", r"listen 127.0.0.1:8\1", site))
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; include {tmp_path}/site.conf; }}"
    )
    run = subprocess.run(["nginx", "-t", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "[warn]" not in run.stderr


class Asked:
    """One answer of nginx, with its headers in small letters."""

    def __init__(self, port: int, path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> None:
        trusting = ssl._create_unverified_context()
        door = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=20)
        door.request(method, path, body=body or None, headers=headers)
        answer = door.getresponse()
        self.status, self.headers = answer.status, {name.lower(): value for name, value in answer.getheaders()}
        self.text = answer.read().decode()
        door.close()


@pytest.fixture(scope="module")
def closed_site(tmp_path_factory):
    """nginx with our file, and no web behind it."""
    if not shutil.which("nginx") or not shutil.which("openssl"):
        pytest.skip("there is no nginx or no openssl")
    nginx = Nginx(tmp_path_factory.mktemp("nginx"), upstream=free_port())
    nginx.start()
    yield nginx.port
    nginx.stop()


def too_many(port: int, path: str) -> Asked:
    """The first refusal of somebody who asks without end."""
    answers = (Asked(port, path, Authorization=f"Token {path}") for _time in range(400))
    return next(answer for answer in answers if answer.status != 502)


REFUSALS = {
    502: lambda port, path: Asked(port, path),
    413: lambda port, path: Asked(port, path, method="POST", body=bytes(3_000_000)),
    429: too_many,
    400: lambda port, path: Asked(port, path, Cookie="a=" + "x" * 20_000),
}


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("path", ["/tasks/", "/api/tasks/"])
def test_a_refusal_of_nginx_itself_says_what_to_do_and_runs_nothing(closed_site, status, path):
    answer = REFUSALS[status](closed_site, path)
    assert answer.status == status
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'none'")
    assert (answer.headers["x-content-type-options"], answer.headers["x-frame-options"]) == ("nosniff", "DENY")
    assert answer.headers.get("retry-after") == {502: "5", 429: "1"}.get(status)
    if path.startswith("/api/"):
        problem = json.loads(answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["status"], problem["errors"]) == (status, [])
        assert problem["retry"] == ("same_key" if status in (429, 502) else "never")
        assert problem["detail"].endswith(".")
        return
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert re.search(r"<p>[A-Z].+\.</p><p lang=\"zh-Hans\">.+。</p>", answer.text)
    assert "nginx" not in answer.text
