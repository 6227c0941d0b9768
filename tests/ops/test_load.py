import json
import random
from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.catalog.models import Tool
from apps.ops.integrity import run_checks
from apps.ops.load import PASSWORD, PREFIX, Loader, make_shop
from apps.scanning.services.devices import badge_in, device_of
from apps.workorders import services as verbs
from apps.workorders.models import Task, WorkEvent, WorkOrder
from apps.workorders.states import OrderStatus


def run(*args, **options):
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def broken():
    return {finding.check.name: finding.rows for finding in run_checks() if not finding.is_ok}


@pytest.fixture(scope="module")
def _load_shop(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), transaction.atomic():
        yield run("seed_load", orders=60)
        transaction.set_rollback(True)


@pytest.fixture
def load(_load_shop, db):
    return _load_shop


def test_the_load_has_every_state_and_passes_every_check(load):
    assert WorkOrder.objects.count() == 60
    assert set(WorkOrder.objects.values_list("status", flat=True)) == set(OrderStatus.values)
    assert {"draft", "pending", "assigned", "in_progress", "completed", "cancelled"} <= set(Task.objects.values_list("status", flat=True))
    assert broken() == {}
    assert load.splitlines()[-2].startswith("60 orders with ")
    assert load.splitlines()[-1].endswith(PASSWORD)


def test_the_people_of_a_load_test_sign_in_and_have_their_places(load):
    for username in ("test_maker", "test_supervisor", "test_operator"):
        assert authenticate(None, username=username, password=PASSWORD).is_staff
    leads = User.objects.get(username="test_supervisor").memberships.filter(is_lead=True).values_list("department__code", flat=True)
    assert set(leads) == {"production", "design"}
    works = User.objects.get(username="test_operator").departments.values_list("code", flat=True)
    assert {"cutting", "printing", "outsourcing", "die_cutting", "packaging"} <= set(works)


def test_loaded_orders_go_on_by_the_verbs(load):
    operator, maker = User.objects.get(username="test_operator"), User.objects.get(username="test_maker")
    task = Task.objects.claimable_by(operator).filter(step__process__code="CUT").first()
    task = verbs.start_task(task, by=operator)
    verbs.complete_task(task, by=operator, good=task.planned)
    submitted = WorkOrder.objects.filter(status="submitted").first()
    verbs.approve_order(submitted, by=submitted.customer.salesperson)
    verbs.dispatch_order(submitted, by=User.objects.get(username="test_supervisor"))
    draft = WorkOrder.objects.filter(status="draft").first()
    verbs.submit_order(draft, by=draft.maker)
    verbs.copy_order(WorkOrder.objects.filter(status="completed", maker=maker).first(), by=maker)
    held = WorkOrder.objects.filter(status="on_hold").first()
    verbs.resume_order(held, by=held.customer.salesperson)
    assert broken() == {}


def test_a_second_load_adds_orders_under_new_numbers(load):
    people = User.objects.count()
    run("seed_load", orders=3, seed=2)
    assert WorkOrder.objects.filter(number__in=[f"{PREFIX}{serial:07}" for serial in (61, 62, 63)]).count() == 3
    assert (User.objects.count(), Tool.objects.count()) == (people, Tool.objects.values("code").distinct().count())
    assert broken() == {}


def test_handhelds_of_the_load_sign_in_with_their_badges(load, tmp_path):
    file = tmp_path / "kits.json"
    run("seed_load", orders=1, seed=4, handhelds=7, kits=file)
    kits = json.loads(file.read_text())
    assert file.stat().st_mode & 0o077 == 0
    assert len({kit["username"].rpartition("_")[0] for kit in kits}) == 7  # of as many departments
    session, _token = badge_in(device_of(kits[0]["device_token"]), kits[0]["badge"], kits[0]["pin"])
    assert session.user.username == kits[0]["username"]
    with pytest.raises(CommandError, match="--kits"):
        run("seed_load", orders=1, handhelds=7)


def test_a_load_can_be_asked_for_by_its_tasks(load):
    before = Task.objects.count()
    said = run("seed_load", tasks=40)
    assert 40 <= Task.objects.count() - before < 40 + 15
    assert f"with {Task.objects.count() - before} tasks" in said
    assert broken() == {}


def test_a_load_can_be_asked_for_by_its_events(load):
    before = WorkEvent.objects.count()
    said = run("seed_load", events=300, seed=6)
    assert 300 <= WorkEvent.objects.count() - before < 300 + 150
    assert f"and {WorkEvent.objects.count() - before} events" in said
    assert broken() == {}


def test_the_same_seed_gives_the_same_load(load):
    def told(seed):
        with transaction.atomic():
            loader = Loader(make_shop(), seed)
            list(loader.run(orders=4))
            rows = list(Task.objects.filter(order__number__gt=f"{PREFIX}0000060").order_by("pk").values_list("status", "good", "scrap"))
            transaction.set_rollback(True)
        return rows

    assert told(5) == told(5)
    assert told(5) != told(6)


def test_nothing_is_kept_between_the_chunks_of_a_load(load):
    loader = Loader(make_shop(), 3)
    progress = [progress.orders for progress in loader.run(orders=300)]
    assert progress == [250, 300]
    assert all(sheet.rows == [] for sheet in loader.sheets)
    assert broken() == {}


def test_loaded_times_are_in_the_past_and_in_order(load):
    assert not WorkEvent.objects.filter(at__gt=timezone.now()).exists()
    order = random.choice(WorkOrder.objects.filter(status="completed"))
    times = list(order.events.order_by("pk").values_list("at", flat=True))
    assert times == sorted(times)
