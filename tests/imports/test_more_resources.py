"""Tools, people and dispatch rules from tables: plan, apply, the same again, changes, and all of it taken back."""

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.accounts.models import Membership, User
from apps.accounts.services import system_user
from apps.catalog.models import Customer, Tool
from apps.dispatch.models import DispatchRule
from apps.imports.models import ImportState
from apps.imports.services import apply_import, plan_import, revert_import, totals
from apps.workorders.models import WorkOrder
from tests.factories import UserFactory
from tests.imports.samples import errors, opendocument, workbook
from tests.personas import PASSWORD, again

pytestmark = pytest.mark.django_db

# kind -> who, (Chinese header, rows), (the same rows under English headers, as another office writes them), a changed row
TABLES = {
    "tools": (
        "planner",
        [["版具类型", "版号", "版本", "名称", "客户", "适用产品"],
         ["模切版", "D-77", 2, "手提袋", "Sunrise", "LEAFLET > CARTON"], ["印版", "A-77", "", "封面", "", ""]],
        [["Kind", "Code", "Revision", "Name", "Customer", "Product codes"],
         ["die", "D-77", "2", "手提袋", "Sunrise", "CARTON,LEAFLET"], ["artwork", "A-77", 1, "封面", None, None]],
        ["die", "D-77", 2, "Bag", None, "CARTON"],
    ),
    "people": (
        "administrator",
        [["用户名", "姓名", "邮箱", "角色", "部门", "负责部门", "办公页面"],
         ["wang", "王芳", "wang@example.com", "操作员", "printing", "", "否"], ["zhao", "赵强", "", "主管、计划员", "", "design", ""]],
        [["User name", "Name", "E-mail", "Roles", "Departments", "Leads", "Office pages"],
         ["wang", "王芳", "wang@example.com", "operator", "printing", None, "no"],
         ["zhao", "赵强", None, "planner; supervisor", None, "design", "yes"]],
        ["wang", "王芳芳", None, "operator, maker", "printing, cutting", "cutting", "yes"],
    ),
    "rules": (
        "planner",
        [["工序", "部门", "优先级", "派工方式", "每人任务上限"], ["CTP", "design", 0, "轮流", 3], ["PRT", "outsourcing", "", "", ""]],
        [["Process", "Department", "Priority", "Person", "Open tasks per person"],
         ["CTP", "design", "0", "one after the other", "3"], ["PRT", "outsourcing", 50, "leave it to be claimed", None]],
        ["CTP", "design", 90, "least_loaded", 5],
    ),
}  # fmt: skip


LINKS = (Tool.products.through, User.groups.through, Membership)
MODELS = (Tool, Tool.products.through, User, User.groups.through, Membership, DispatchRule)


def domain():
    """Every table that these imports could write, field by field, but for versions, which only ever grow, and keys of links."""
    kept = {}
    for model in MODELS:
        fields = [one for one in model._meta.concrete_fields if one.name != "version" and not (model in LINKS and one.primary_key)]
        kept[model._meta.label] = sorted(map(str, model._base_manager.values_list(*(one.attname for one in fields))))
    return kept


@pytest.mark.parametrize("kind", TABLES)
def test_new_same_changed_and_all_taken_back(everybody, kind):
    who, chinese, english, changed = TABLES[kind]
    by = everybody[who]
    DispatchRule.objects.all().delete()
    before = domain()
    first = plan_import(kind, workbook(*chinese), by=by)
    assert (errors(first), totals(first)) == ([], {"create": 2})
    assert domain() == before
    assert apply_import(first, by=by).state == ImportState.APPLIED
    assert totals(plan_import(kind, workbook(*english), by=by)) == {"same": 2}
    assert totals(plan_import(kind, opendocument(*english), by=by)) == {"same": 2}
    assert revert_import(first, by=by).state == ImportState.REVERTED, [row.kept_because for row in first.rows.all()]
    assert domain() == before

    apply_import(plan_import(kind, workbook(*chinese), by=by), by=by)
    made = domain()
    second = apply_import(plan_import(kind, workbook(english[0], changed), by=by), by=by)
    assert totals(second) == {"update": 1}
    assert len(second.plan[0]["details"]) >= 2
    assert domain() != made
    assert revert_import(second, by=by).state == ImportState.REVERTED
    assert domain() == made


@pytest.mark.parametrize(
    ("kind", "row", "told"),
    [
        ("tools", ["die", "D-1", 1, "x", "Sunrisse", None], "Sunrisse is no known customer: did you mean Sunrise?"),
        ("tools", ["dye", "D-1", 1, "x", None, None], "dye is no known kind of tool: did you mean die?"),
        ("tools", ["die", "D-1", 1, "x", None, "LEAFLETT"], "LEAFLETT is no known product code: did you mean LEAFLET?"),
        ("people", ["wang", "x", "no address", None, None, None, None], "Enter a valid email address."),
        ("people", ["w ang", "x", None, None, None, None, None], "Enter a valid username."),
        ("people", ["wang", "x", None, "superuser", None, None, None], "superuser is no known role"),
        ("people", ["wang", "x", None, None, "printin", None, None], "printin is no known department: did you mean printing?"),
        ("people", ["superuser", "x", None, None, None, None, None], "This account cannot be changed by an import."),
        ("people", ["system", "x", None, None, None, None, None], "This account cannot be changed by an import."),
        ("people", ["administrator", None, None, "operator", None, None, None], "You cannot take the administrator's role from yourself."),
        ("people", ["administrator", None, None, None, None, None, "no"], "You cannot take the office pages from yourself."),
        ("rules", ["CTPP", "design", 1, None, None], "CTPP is no known process code: did you mean CTP?"),
        ("rules", ["CTP", "design", 101, None, None], "101 is no priority. Write a whole number from 0 to 100."),
        ("rules", ["CTP", "design", 1, "by magic", None], "by magic is no known way to find the person"),
    ],
)
def test_a_wrong_row_says_what_it_got_and_what_is_expected(everybody, kind, row, told):
    system_user()
    who, _chinese, english, _changed = TABLES[kind]
    before = domain()
    run = plan_import(kind, workbook(english[0], row), by=everybody[who])
    assert told in " ".join(message for _row, _column, message in errors(run))
    assert domain() == before


def test_exported_people_come_in_again_as_all_the_same_even_those_out_of_reach(everybody, client, shop):
    system_user()
    client.force_login(everybody["administrator"])
    content = b"".join(client.get(reverse("admin:accounts_user_export") + "?format=xlsx").streaming_content)
    run = plan_import("people", SimpleUploadedFile("people.xlsx", content), by=everybody["administrator"])
    assert errors(run) == []
    assert totals(run) == {"same": User.objects.count()}
    before = domain()
    assert apply_import(run, by=everybody["administrator"]).state == ImportState.APPLIED
    assert domain() == before


def test_a_salesperson_is_known_by_the_name_too_unless_two_have_it(everybody, shop):
    planner, header = everybody["planner"], ["Code", "Name", "Salesperson"]
    User.objects.filter(username="salesperson").update(name="李 娜")
    run = plan_import("customers", workbook(header, ["N1", "New", "李　娜"]), by=planner)
    assert totals(run) == {"create": 1}
    apply_import(run, by=planner)
    assert Customer.objects.get(code="N1").salesperson == everybody["salesperson"]
    namesake = UserFactory(username="lina", name="李 娜")
    namesake.groups.add(Group.objects.get(name="salesperson"))
    (error,) = errors(plan_import("customers", workbook(header, ["N2", "Newer", "李 娜"]), by=planner))
    assert "Write the user name instead: one of " in error[2]
    assert totals(plan_import("customers", workbook(header, ["N2", "Newer", "lina"]), by=planner)) == {"create": 1}


def test_an_imported_account_waits_for_a_password_and_nobody_elses_is_touched(everybody):
    administrator = everybody["administrator"]
    header = ["User name", "Name", "Roles", "password", "is_superuser", "密码"]
    rows = [["wang", "Wang", "operator", "secret", "yes", "secret"], ["operator", "Op", None, "secret", "yes", "secret"]]
    run = apply_import(plan_import("people", workbook(header, *rows), by=administrator), by=administrator)
    assert run.state == ImportState.APPLIED
    assert any("Columns that are not read: password, is_superuser, 密码" in one["message"] for one in run.problems)
    wang = User.objects.get(username="wang")
    assert (wang.has_usable_password(), wang.is_superuser, wang.is_active) == (False, False, True)
    assert authenticate(None, username="wang", password="secret") is None
    assert authenticate(None, username="operator", password=PASSWORD).name == "Op"
    assert Membership.objects.filter(user=everybody["operator"], department__code="printing").exists()
    assert "secret" not in str(list(run.rows.values()))


def test_a_right_that_was_lost_meanwhile_stops_the_import(everybody):
    administrator = everybody["administrator"]
    run = plan_import("people", workbook(*TABLES["people"][1]), by=administrator)
    administrator.groups.clear()
    with pytest.raises(Exception, match="You may not import this"):
        apply_import(run, by=again(administrator))
    assert not User.objects.filter(username="wang").exists()


def test_what_somebody_uses_or_changed_is_not_taken_back(everybody, shop):
    planner, administrator = everybody["planner"], everybody["administrator"]
    run = apply_import(plan_import("tools", workbook(*TABLES["tools"][1]), by=planner), by=planner)
    tool = Tool.objects.get(code="D-77")
    tool.name = "changed"
    tool.save()
    revert_import(run, by=planner)
    assert [row.kept_because for row in run.rows.exclude(kept_because="")] == ["D-77 v2 was changed after the import."]
    people = apply_import(plan_import("people", workbook(*TABLES["people"][1]), by=administrator), by=administrator)
    shop.draft(by="maker")
    wang = User.objects.get(username="wang")
    WorkOrder.objects.update(created_by=wang)
    revert_import(people, by=administrator)
    assert "It is in use" in people.rows.exclude(kept_because="").get().kept_because
