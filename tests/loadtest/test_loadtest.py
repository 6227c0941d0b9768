"""The load test as it is started: what it loads, what it refuses, and when it fails."""

import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
TEXT = (ROOT / "loadtest" / "locustfile.py").read_text()


def ran(*words: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(words, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.fixture
def site():
    """A site that answers everything; whether it may be loaded is set by the test."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            if self.server.may_be_loaded:
                self.send_header("X-Docket-Loadtest", "yes")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_POST = do_GET

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.may_be_loaded = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def address(server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_five_kinds_of_people_have_at_least_sixteen_tasks_and_waits():
    kinds = re.findall(r"^class (\w+)\(", TEXT, re.MULTILINE)
    assert kinds == ["Person", "Office", "Maker", "Supervisor", "Operator", "Scanner"]
    assert len(re.findall(r"^    @task\(\d+\)", TEXT, re.MULTILINE)) >= 16
    assert len(re.findall(r"wait_time = .*between\(", TEXT)) == 5


def test_a_site_that_does_not_say_it_is_a_copy_is_not_loaded(site):
    run = ran("loadtest/run.sh", "1", "1", "1s", address(site))
    assert (run.returncode, "DOCKET_LOADTEST=true" in run.stderr) == (2, True)
    again = ran(
        sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "-u", "1", "-t", "2s", "--host", address(site)
    )
    assert again.returncode == 2


def test_words_that_make_no_sense_and_nobody_are_refused():
    assert ran("loadtest/run.sh", "many", "1", "1s", "http://127.0.0.1:9").returncode == 2
    assert "does not answer" in ran("loadtest/run.sh", "1", "1", "1s", "http://127.0.0.1:9").stderr


def test_a_missed_target_is_exit_code_one_with_a_report(site, tmp_path):
    """The pages of this site sign nobody in: every person is an error."""
    site.may_be_loaded = True
    run = ran("loadtest/run.sh", "2", "2", "3s", address(site), DOCKET_LOAD_REPORT=str(tmp_path))
    assert run.returncode == 1, run.stdout + run.stderr
    assert "Missed: " in run.stdout
    assert {path.suffix for path in tmp_path.iterdir()} == {".txt", ".html", ".csv"}
