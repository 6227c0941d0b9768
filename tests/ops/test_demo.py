import re
from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import transaction
from django.db.models import F

from apps.accounts.models import Department, User
from apps.accounts.roles import Role
from apps.catalog.models import Customer, Product, Tool
from apps.ops.demo import people_of_the_demo
from apps.ops.integrity import run_checks
from apps.ops.seeding import seed_presets
from apps.scanning.services import devices
from apps.workorders.models import Task, WorkEvent, WorkOrder
from apps.workorders.readiness import what_is_missing
from apps.workorders.states import OrderStatus, TaskStatus

KNOWN = "only-for-this-test-1"


def run(*args, **options):
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def broken():
    return {finding.check.name: finding.rows for finding in run_checks() if not finding.is_ok}


@pytest.fixture(scope="module")
def _demo_shop(django_db_setup, django_db_blocker):
    """Told once for this file, in a shop that has a few of its rows: what the command said. Each test works inside a savepoint."""
    with django_db_blocker.unblock(), transaction.atomic():
        seed_presets()
        Department.objects.get(code="finance").delete()
        User.objects.create(username="auditor", name="our auditor", password="!")
        sales = User.objects.create(username="sales_l", password=make_password(KNOWN), is_staff=True)
        sales.groups.add(Group.objects.get(name=Role.SALESPERSON))
        Customer.objects.create(code="C003", name="our own name", salesperson=sales)
        Tool.objects.create(kind="embossing_plate", code="HC-EMB", name="our own plate")
        yield run("seed_demo", password=KNOWN)
        transaction.set_rollback(True)


@pytest.fixture
def demo(_demo_shop, db):
    return _demo_shop


def test_the_demo_has_orders_in_every_state_and_passes_every_check(demo):
    assert WorkOrder.objects.count() == 43
    assert set(WorkOrder.objects.values_list("status", flat=True)) == set(OrderStatus.values)
    assert set(Task.objects.values_list("status", flat=True)) == set(TaskStatus.values)
    assert broken() == {}


def test_the_demo_prints_who_can_sign_in_and_they_can(demo):
    lines = demo.splitlines()
    assert f"Their password: {KNOWN}" in lines
    roles = set()
    for row in people_of_the_demo():
        roles |= set(row["roles"])
        if row["username"] == "auditor":
            continue
        assert any(line.split()[:1] == [row["username"]] for line in lines), row
        user = authenticate(None, username=row["username"], password=KNOWN)
        assert user.is_staff, row
        assert not user.is_superuser, row
    assert roles == set(Role.values)


def test_the_demo_prints_badges_that_sign_in_on_its_handhelds(demo):
    tokens = dict(re.findall(r"The token of the handheld (\S+): (dkd_\w+)", demo))
    assert len(tokens) == 2
    codes = dict(re.findall(r"^  (\w+) +(E\w+)$", demo, re.MULTILINE))
    assert len(codes) == User.objects.filter(groups__name=Role.OPERATOR).count() == 13
    assert "Their PIN: 2468" in demo
    handheld = devices.device_of(tokens["印刷一号机"])
    assert handheld.department.code == "printing"
    assert devices.badge_in(handheld, codes["printer_1"], "2468")[0].user.username == "printer_1"


def test_a_second_time_shows_no_token(demo):
    said = run("seed_demo", password=KNOWN)
    assert "dkd_" not in said
    assert "Their PIN: 2468" in said


def test_every_workshop_of_the_demo_has_a_lead_and_operators(demo):
    for department in Department.objects.filter(processes__isnull=False).distinct():
        assert department.memberships.filter(is_lead=True, user__groups__name=Role.SUPERVISOR).exists(), department
        if department.code != "production":
            assert department.memberships.filter(is_lead=False, user__groups__name=Role.OPERATOR).exists(), department


def test_the_demo_shows_late_blocked_short_over_scrapped_and_interrupted_work(demo):
    assert WorkOrder.objects.late().count() >= 3
    assert Task.objects.filter(scrap__gt=0).count() > 20
    assert Task.objects.filter(status="completed", good__gt=F("planned")).exists()
    assert Task.objects.filter(status="completed", good__lt=F("planned")).exists()
    assert Task.objects.filter(status="paused").count() == 2
    assert Task.objects.filter(department__code="outsourcing").count() == 2
    assert Task.objects.exclude(split_from=None).exists()
    assert WorkEvent.objects.exclude(reverses=None).exists()
    missing = [
        sentence for order in WorkOrder.objects.filter(status="approved") for told in what_is_missing(order).values() for sentence in told
    ]
    assert any("is not received" in sentence for sentence in missing)
    assert any("is not confirmed" in sentence for sentence in missing)


def test_in_the_demo_somebody_waits_for_every_kind_of_decision(demo):
    for username in ("sales_h", "sales_l", "sales_n", "supervisor"):
        assert WorkOrder.objects.waiting_for(User.objects.get(username=username)).exists(), username
    for username in ("printer_1", "cutter_1", "die_cutter_1", "packer_1", "outside_1"):
        assert Task.objects.claimable_by(User.objects.get(username=username)).exists(), username
    assert User.objects.get(username="prepress_1").tasks.filter(status="assigned").exists()


def test_everything_in_the_demo_is_signed_by_the_person_whose_move_it_is(demo):
    events = WorkEvent.objects.select_related("actor")
    assert {event.verb for event in events if event.actor.is_system} == {"dispatch"}
    assert {event.source for event in events} == {"command"}
    assert not WorkOrder.history.filter(history_user=None).exists()
    assert not Task.history.filter(history_user=None).exists()


def test_the_demo_leaves_the_sample_workbooks_to_be_imported(demo):
    assert not WorkOrder.objects.filter(external_number__startswith="PO-").exists()
    assert not Product.objects.filter(code__in=["MAILER", "WINBOX"]).exists()


def test_the_demo_makes_nothing_where_there_are_orders(demo):
    users, orders = User.objects.count(), WorkOrder.objects.count()
    said = run("seed_demo", password="another-password-9")
    assert "There are orders already, so nothing was made." in said
    assert "Their password is the one that was given when they were made." in said
    assert (User.objects.count(), WorkOrder.objects.count()) == (users, orders)


def test_the_demo_leaves_what_was_there_before(demo):
    assert User.objects.get(username="auditor").name == "our auditor"
    assert not User.objects.get(username="auditor").groups.exists()
    assert Customer.objects.get(code="C003").name == "our own name"
    assert Tool.objects.get(code="HC-EMB").name == "our own plate"
    assert not Department.objects.filter(code="finance").exists()
