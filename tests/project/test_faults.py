"""What a Sentry of the site's own gets to know."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import brotli
import pytest
from django.conf import settings

from tests.project.test_env import production

FAIL = """
import os, sys, types
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
import sentry_sdk
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
from django.urls import path
from project import settings

def broken(request):
    password = "hunter2"
    raise ValueError("A fault of the code")

urls = types.ModuleType("urls_of_the_test")
urls.urlpatterns = [path("broken/", broken)]
sys.modules[urls.__name__] = urls
settings.ROOT_URLCONF = urls.__name__
settings.MIDDLEWARE = ["apps.core.middleware.request_identity"]
web = get_wsgi_application()
request = RequestFactory().post(
    "/broken/?customer=Sunrise", {"pin": "4711"}, headers={
        "host": "docket.test", "authorization": "Token abcdef", "cookie": "sessionid=qwertz", "x-request-id": "the-request",
        "x-forwarded-for": "203.0.113.9",
    },
)
web(request.environ, lambda status, headers: None).close()
sentry_sdk.flush(10)
"""


@pytest.fixture
def sentry() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a server that keeps whatever is sent to it, and what that was."""
    kept: list[bytes] = []

    class Keeper(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.append(brotli.decompress(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Not to the output of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://key@127.0.0.1:{server.server_port}/1", kept
    server.shutdown()
    server.server_close()


def test_a_fault_is_reported_without_a_word_about_people(sentry, tmp_path):
    dsn, kept = sentry
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FAIL],
        cwd=settings.BASE_DIR,
        env=production(tmp_path, SENTRY_DSN=dsn),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    text = b"\n".join(kept).decode()
    event = next(json.loads(line) for line in text.splitlines() if '"exception"' in line)
    assert event["exception"]["values"][-1]["value"] == "A fault of the code"
    assert event["request"] == {"method": "POST", "url": "http://docket.test/broken/"}
    assert event["tags"]["request_id"] == "the-request"
    assert [word for word in ("hunter2", "Sunrise", "4711", "abcdef", "qwertz", "203.0.113.9") if word in text.replace(FAIL, "")] == []
