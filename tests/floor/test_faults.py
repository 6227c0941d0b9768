"""Handhelds on a bad network, against gunicorn as it is deployed: nothing counts twice, nothing is lost.

DOCKET_FAULT_SENDS is how often scans are sent in all; each is sent eight times. The suite takes a small number, `make faults` the
whole of 10,000 on both databases. DOCKET_FAULT_SEED repeats a run that failed.
"""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from apps.scanning.models import Scan
from apps.scanning.simulation.proxy import CuttingProxy
from apps.scanning.simulation.shift import Journal, Plan, replay
from apps.scanning.simulation.stage import Stage, effects, faults, figures, set_stage
from tests.floor.server import Killer, Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
SENDS = int(os.environ.get("DOCKET_FAULT_SENDS", "1000"))


@pytest.fixture
def server(tmp_path: Path, transactional_db: None) -> Iterator[Server]:
    # The server knows the hashers of production only.
    with override_settings(PASSWORD_HASHERS=["apps.accounts.hashing.Argon2"]):
        one = Server(tmp_path)
        yield one
        one.end()
    print(one.log)  # pytest shows it where the test failed


@pytest.fixture
def plan() -> Plan:
    seed = int(os.environ.get("DOCKET_FAULT_SEED", "0")) or random.randrange(1, 10**6)
    return Plan(scans=SENDS // 8, sends=SENDS, seed=seed)


def is_whole(stage: Stage, plan: Plan, journal: Journal, proxy: CuttingProxy) -> None:
    """Everything that was captured is in the table once, counted once, and was acknowledged."""
    print(f"seed {plan.seed}", *(f"{what:26} {much}" for what, much in figures(stage, plan, journal, proxy.cut)), sep="\n")
    assert list(faults(stage, journal)) == []
    assert effects(stage) == len(journal.captured) == len(journal.acknowledged) == plan.scans
    assert Scan.objects.count() == plan.scans
    assert journal.counted["sends"] >= plan.sends
    assert journal.counted["committed in doubt"] > 0


def test_every_scan_counts_once_though_a_third_of_the_replies_is_cut(server, plan):
    stage = set_stage(plan)
    with CuttingProxy(server.site, cut=plan.cut, seed=plan.seed) as proxy:
        journal = replay(proxy.site, stage.kits, plan)
    is_whole(stage, plan, journal, proxy)
    assert proxy.cut == pytest.approx(plan.cut * (proxy.cut + proxy.passed), rel=0.25)


def test_every_scan_counts_once_though_the_servers_processes_are_killed_every_second(server, plan):
    stage = set_stage(plan)
    killer = Killer(server, every=1, seed=plan.seed)
    with CuttingProxy(server.site, cut=plan.cut, seed=plan.seed) as proxy:
        # Not while they badge in: a PIN that was being looked at when its process died counts as a wrong one.
        journal = replay(proxy.site, stage.kits, plan, meanwhile=killer)
    print(f"{killer.kills} kills")
    is_whole(stage, plan, journal, proxy)
    assert killer.kills >= 1
