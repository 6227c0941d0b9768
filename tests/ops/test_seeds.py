from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from apps.accounts.models import Department, User
from apps.accounts.roles import Role
from apps.catalog.models import Process, Product, Route, RouteStep
from apps.dispatch.models import DispatchRule
from apps.ops.load import PREFIX
from apps.ops.management.commands import seed_demo as command
from apps.ops.seeding import read_fixture, seed_presets
from apps.workorders.models import WorkOrder
from tests.factories import WorkOrderFactory

KNOWN = "only-for-this-test-1"


def run(*args, **options):
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def presets(db):
    return seed_presets()


def test_presets_make_the_reference_shop(presets):
    assert presets == {"departments": 11, "processes": 21, "dispatch rules": 56, "routes": 6, "products": 6}
    assert set(Group.objects.values_list("name", flat=True)) == set(Role.values)
    below = Department.objects.filter(parent__code="production").values_list("code", flat=True)
    assert list(below) == ["cutting", "printing", "outsourcing", "die_cutting", "packaging"]
    assert Process.objects.get(code="FOIL_G").name_zh == "烫金"
    assert not Process.objects.filter(name="").exists()
    assert not Process.objects.filter(name_zh="").exists()


def test_presets_say_what_each_process_needs_and_where_it_belongs(presets):
    rows = {row.code: (row.task_rule, row.needs_tool, row.stage) for row in Process.objects.all()}
    assert rows["CTP"] == ("per_tool", "", "prepare")
    assert rows["CUT"] == ("per_material", "", "prepare")
    assert rows["PRT"] == ("per_artwork", "artwork", "print")
    assert rows["FOIL_S"] == ("per_foil_plate", "foil_plate", "finish")
    assert rows["EMB"] == ("per_embossing_plate", "embossing_plate", "finish")
    assert rows["DIE"] == ("per_die", "die", "finish")
    assert rows["PACK"] == ("per_line", "", "finish")
    assert {stage for code, (_rule, _tool, stage) in rows.items() if code not in ("CTP", "CUT", "PRT")} == {"finish"}


def test_the_best_rule_of_every_process_is_the_workshop_of_the_trade(presets):
    best = {}
    for rule in DispatchRule.objects.select_related("process", "department").order_by("priority"):
        assert rule.process.departments.filter(pk=rule.department_id).exists(), rule
        best[rule.process.code] = (rule.department.code, rule.priority)
    assert best["CTP"] == ("design", 100)
    assert best["DIE"] == ("die_cutting", 90)
    assert best["SCORE"] == ("cutting", 90)
    assert best["UV"] == ("printing", 75)
    assert best["TEX"] == ("packaging", 90)
    assert len(best) == 21


def test_a_carton_goes_the_way_that_cartons_go(presets):
    steps = Product.objects.get(code="CARTON").route.steps.values_list("process__code", flat=True)
    assert list(steps) == ["CTP", "CUT", "PRT", "LAM_M", "FOIL_G", "DIE", "BOX", "PACK"]


@pytest.mark.parametrize("model", [Department, Process, Route, RouteStep, Product, DispatchRule])
def test_every_preset_passes_the_form_that_people_use(presets, model):
    for row in model.objects.all():
        row.full_clean()


def test_presets_twice_change_nothing(presets):
    assert read_fixture("presets")["processes"][0]["code"] == "CTP"
    before = [list(model.objects.order_by("pk").values()) for model in (Department, Process, Route, RouteStep, Product, DispatchRule)]
    assert run("seed_presets") == "Nothing was missing.\n"
    assert before == [
        list(model.objects.order_by("pk").values()) for model in (Department, Process, Route, RouteStep, Product, DispatchRule)
    ]


def test_presets_never_take_back_what_a_site_changed(presets):
    process = Process.objects.get(code="VAN")
    process.name, process.setup_minutes = "coating", 99
    process.save()
    process.departments.clear()
    DispatchRule.objects.get(process__code="UV", department__code="printing").delete()
    route = Route.objects.get(code="POSTER")
    route.steps.get(process__code="TRIM").delete()
    Product.objects.get(code="BOARD").delete()
    renamed = Department.objects.get(code="logistics")
    renamed.code = "dispatch-bay"
    renamed.save()

    assert not seed_presets()

    process.refresh_from_db()
    assert (process.name, process.setup_minutes, process.departments.count()) == ("coating", 99, 0)
    assert not DispatchRule.objects.filter(process__code="UV", department__code="printing").exists()
    assert route.steps.count() == 4
    assert not Product.objects.filter(code="BOARD").exists()
    assert not Department.objects.filter(code="logistics").exists()


def test_presets_add_what_is_missing_beside_a_sites_own(db):
    Department.objects.create(code="printing", name="our own press room")
    made = seed_presets()
    assert made["departments"] == 10
    assert Department.objects.get(code="printing").name == "our own press room"


def test_the_command_says_what_it_made(db):
    assert "21 processes made" in run("seed_presets").splitlines()


def test_presets_are_signed_in_the_history(presets):
    row = Process.objects.get(code="PRT").history.earliest()
    assert row.history_user.is_system


def test_in_a_shop_with_orders_and_none_of_the_people_no_table_is_printed(db):
    WorkOrderFactory()
    assert "People who can sign in" not in run("seed_demo", password=KNOWN)


def test_without_debug_the_demo_makes_up_a_password(db, settings, monkeypatch):
    WorkOrderFactory()
    told = []
    monkeypatch.setattr(command, "seed_demo", lambda password: told.append(password) or {})
    run("seed_demo")
    settings.DEBUG = True
    run("seed_demo")
    assert told[1] == command.PASSWORD
    assert told[0] != command.PASSWORD
    assert len(told[0]) >= 16


def test_a_weak_password_for_the_demo_is_refused(db):
    with pytest.raises(CommandError, match="too short"):
        run("seed_demo", password="short")
    assert not User.objects.filter(username="maker").exists()


@pytest.mark.parametrize("options", [{}, {"orders": "2", "tasks": "2"}])
def test_a_load_is_asked_for_in_one_way(db, options):
    with pytest.raises(CommandError):
        call_command("seed_load", *[f"--{name}={value}" for name, value in options.items()])


@pytest.mark.parametrize("count", ["0", "-1", "many", "10000001"])
def test_a_load_of_an_impossible_size_is_refused(db, count):
    with pytest.raises(CommandError, match="no whole number from 1 to 10000000"):
        call_command("seed_load", f"--orders={count}")


def test_a_load_is_kept_out_of_a_shop_in_production(db, settings):
    WorkOrderFactory()
    with pytest.raises(CommandError, match="Say --anyway to go on"):
        run("seed_load", orders=1)
    assert not User.objects.filter(username="test_maker").exists()
    run("seed_load", orders=1, anyway=True)
    settings.DEBUG = True
    run("seed_load", orders=1)
    assert WorkOrder.objects.filter(number__startswith=PREFIX).count() == 2
