"""What is in deploy/ is what production promises, as far as a machine can say."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.once

ROOT = Path(settings.BASE_DIR)
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


@pytest.mark.slow
def test_the_checks_that_a_machine_can_make_pass():
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("there is no .venv here; make test makes one")
    done = subprocess.run([ROOT / "deploy" / "checks.sh"], capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if line.startswith("FAIL")] == []
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("PASS") >= 60


def test_the_checks_name_tests_that_exist():
    named = re.findall(r"^tested .* (tests/\S+)$", (ROOT / "deploy" / "checks.sh").read_text(), re.MULTILINE)
    assert len(named) > 30
    for place, _, name in (one.partition("::") for one in named):
        assert (ROOT / place).exists(), place
        assert not name or f"\ndef {name}(" in (ROOT / place).read_text(), name


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_unit_is_closed_and_stops_its_children(unit):
    lines = unit.read_text().splitlines()
    wanted = {"User=docket", "KillMode=mixed", "UMask=0077", "NoNewPrivileges=true", "PrivateTmp=true", "ProtectSystem=strict"}
    assert wanted - set(lines) == set()
    if "Type=oneshot" not in lines:
        assert {"Restart=always", "RestartSec=5"} <= set(lines)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_unit_writes_backups_where_the_documents_say(unit):
    (line,) = re.findall(r"^ReadWritePaths=(.*)$", unit.read_text(), re.MULTILINE)
    documents = ROOT / "project" / "docs"
    (example,) = re.findall(r"^\| `DOCKET_BACKUP_DIR` .*`(/\S+)` \|$", (documents / "environment.md").read_text(), re.MULTILINE)
    assert f"-{example}" in line.split()
    assert f"install -d -o docket -g docket -m 0700 {example}\n" in (documents / "operations.md").read_text()


def test_the_web_waits_for_the_database_before_it_prepares_it():
    before = re.findall(r"^ExecStartPre=.*manage\.py (.*)$", (ROOT / "deploy/systemd/docket-web.service").read_text(), re.MULTILINE)
    assert before == ["wait_for_database", "prepare"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_reads_every_unit():
    paths = [*UNITS, *(ROOT / "deploy" / "systemd").glob("*.timer")]
    said = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("docket-") and "is not executable" not in line] == []


def test_a_unit_stops_later_than_what_it_runs():
    """The worker has 25 s for its jobs, gunicorn 30 s for its requests."""
    for unit in UNITS:
        if found := re.search(r"TimeoutStopSec=(\d+)", unit.read_text()):
            assert int(found[1]) > 30
