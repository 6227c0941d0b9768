"""One short round of the chaos on each database; `make chaos` goes on for ten minutes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]
HAS_SERVER = bool(shutil.which("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None))


def test_a_round_of_kills_loses_doubles_and_leaves_nothing():
    database = connection.vendor
    if database == "postgresql" and not HAS_SERVER:
        pytest.skip("there is no PostgreSQL to start and kill")
    words = [sys.executable, "-m", "tests.chaos", "--database", database, "--seconds", "1", "--scans", "60"]
    seed = os.environ.get("DOCKET_FAULT_SEED", "")
    run = subprocess.run(
        [*words, *(["--seed", seed] if seed else [])], cwd=settings.BASE_DIR,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 lost, 0 doubled, 0 stuck." in run.stdout
