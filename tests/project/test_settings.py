"""What production has when nothing more than the four required variables is set."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.project.test_env import production

ASK = """
import json
from project import settings
texts = ("DEBUG", "SECURE_", "TRUSTED_", "SESSION_COOKIE_", "CSRF_COOKIE_", "Q_CLUSTER", "LOGGING", "CACHES", "STORAGES")
print(json.dumps({name: getattr(settings, name) for name in dir(settings) if name.startswith(texts)}, default=str))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> dict:
    folder: Path = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=settings.BASE_DIR, env=production(folder), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_debug_is_off(site):
    assert site["DEBUG"] is False


def test_https_is_the_rule(site):
    assert (site["SECURE_SSL_REDIRECT"], site["SECURE_HSTS_SECONDS"]) == (True, 31536000)
    assert (site["SECURE_HSTS_INCLUDE_SUBDOMAINS"], site["SECURE_HSTS_PRELOAD"]) == (True, True)


def test_a_proxy_is_believed_only_when_it_is_declared(site):
    assert (site["SECURE_PROXY_SSL_HEADER"], site["TRUSTED_PROXIES"]) == (None, 0)


@pytest.mark.parametrize("cookie", ["SESSION", "CSRF"])
def test_cookies_are_closed(site, cookie):
    assert [site[f"{cookie}_COOKIE_{name}"] for name in ("SECURE", "HTTPONLY", "SAMESITE")] == [True, True, "Lax"]


def test_the_queue_fetches_nothing_that_no_worker_is_free_for(site):
    queue = site["Q_CLUSTER"]
    assert (queue["queue_limit"], queue["bulk"], queue["recycle"], queue["max_attempts"]) == (queue["workers"], 1, 100, 3)
    assert queue["retry"] >= queue["timeout"] * (2 + (queue["queue_limit"] + 1) / queue["workers"])


def test_logs_are_json_and_other_loggers_stay(site):
    assert site["LOGGING"]["handlers"]["stdout"]["formatter"] == "json"
    assert site["LOGGING"]["disable_existing_loggers"] is False


def test_the_cache_is_shared_by_the_processes_of_the_machine(site):
    assert site["CACHES"]["default"]["BACKEND"].endswith("FileBasedCache")


def test_uploads_are_read_by_the_server_only(site):
    assert site["STORAGES"]["private"]["OPTIONS"]["file_permissions_mode"] == 0o600
    assert site["STORAGES"]["private"]["OPTIONS"]["directory_permissions_mode"] == 0o700
