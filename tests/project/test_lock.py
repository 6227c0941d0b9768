"""The locked packages: those of requirements.txt and all that they bring, each by version and hash, from no particular place."""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENTRIES = re.split(r"\n(?=[a-z])", LOCK.replace("\\\n", " "))[1:]
PINS = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE)}


def test_every_package_is_pinned_by_hash():
    assert len(PINS) == len(ENTRIES) > 40
    assert [one.split()[0] for one in ENTRIES if not re.fullmatch(r"[\w.-]+==[\w.]+(\s+--hash=sha256:[0-9a-f]{64})+\s*", one)] == []
    assert "://" not in LOCK


def test_it_has_what_is_required_in_the_same_versions():
    lines = [line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    wanted = {canonicalize_name(one.name): str(one.specifier) for one in map(Requirement, lines)}
    assert {name: f"=={PINS.get(name)}" for name in wanted} == wanted


@pytest.mark.parametrize("python", ["3.11.3", "3.12.0", "3.13.0"])
def test_it_has_what_its_packages_need(python):
    """On each Python that Docket runs on."""
    environment = {"python_version": python.rpartition(".")[0], "python_full_version": python, "sys_platform": "linux"}
    missing, looked_at = [], 0
    for name in PINS:
        try:
            needs = [Requirement(one) for one in requires(name) or []]
        except PackageNotFoundError:
            continue
        looked_at += 1
        for need in needs:
            if need.marker is not None and not need.marker.evaluate(environment | {"extra": ""}):
                continue
            if not need.specifier.contains(PINS.get(canonicalize_name(need.name), ""), prereleases=True):
                missing.append(f"{name} needs {need}")
    assert missing == []
    assert looked_at > 40


def test_the_image_installs_by_hash_alone():
    installs = re.findall(r"pip install (.*)", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"))
    assert installs
    assert all("--require-hashes" in one and "requirements.lock" in one for one in installs)
