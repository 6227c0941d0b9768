"""The stage of the stories: the reference shop's presets, its people, and a worker process on the test's own database."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command

from apps.accounts.models import Department, Membership, User
from apps.accounts.roles import Role
from tests.ops.workers import database_url

SAMPLES = Path(__file__).resolve().parents[2] / "fixtures" / "samples"
PASSWORD = "story-pass-1"
ORDERED = "2026-11-21"  # a day before every due date of the samples

# name -> (role, department, leads it); the salespeople are those of catalogue.xlsx
CAST: dict[str, tuple[str, str, bool]] = {
    "maker": (Role.MAKER, "", False),
    "supervisor": (Role.SUPERVISOR, "production", True),
    "lead_design": (Role.SUPERVISOR, "design", True),
    "prepress_1": (Role.OPERATOR, "design", False),
    "prepress_2": (Role.OPERATOR, "design", False),
    "cutter_1": (Role.OPERATOR, "cutting", False),
    "printer_1": (Role.OPERATOR, "printing", False),
    "printer_2": (Role.OPERATOR, "printing", False),
    "packer_1": (Role.OPERATOR, "packaging", False),
    **{f"sales_{letter}": (Role.SALESPERSON, "", False) for letter in "hclnbq"},
}
WORKERS = {"design": "prepress_1", "cutting": "cutter_1", "printing": "printer_1", "packaging": "packer_1"}


def make_cast() -> dict[str, User]:
    """Everybody of CAST, on top of the presets."""
    people = {}
    for name, (role, department, leads) in CAST.items():
        user = User(username=name, name=name.replace("_", " ").title(), is_staff=True)
        user.set_password(PASSWORD)
        user.save()
        user.groups.add(Group.objects.get(name=role))
        if department:
            Membership.objects.create(user=user, department=Department.objects.get(code=department), is_lead=leads)
        people[name] = user
    return people


@pytest.fixture
def cast(transactional_db: None) -> dict[str, User]:
    """The people of a house that has its presets, and no customer, product line or order yet."""
    call_command("seed_presets", stdout=StringIO())
    return make_cast()


@pytest.fixture
def worker(transactional_db: None, tmp_path: Path) -> Iterator[subprocess.Popen]:
    """`manage.py worker` on the test's database, until the test ends. What it wrote is shown where the test fails."""
    environment: dict[str, Any] = {**os.environ, "DATABASE_URL": database_url(), "DATABASE_APPLICATION_NAME": "jobs", "LOG_LEVEL": "INFO"}
    file = tmp_path / "worker.log"
    with file.open("wb") as log:
        process = subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=settings.BASE_DIR, env=environment, stdout=log, stderr=log)
    yield process
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=40)
    finally:
        process.kill()
        print(file.read_text())
