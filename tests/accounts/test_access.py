import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.exceptions import ValidationError

from apps.accounts.access import NOBODY, access_of
from apps.accounts.models import AccessToken, Department, Membership, User
from apps.accounts.roles import ROLES, Role
from apps.catalog.models import Customer, Process, Product, Tool
from apps.dispatch.models import DispatchRule
from apps.imports.models import ImportRun
from apps.notices.models import Notice
from tests import factories
from tests.personas import PEOPLE, again
from tests.queries import count_queries


def names(queryset, user, field="code") -> set[str]:
    return set(queryset.visible_to(again(user)).values_list(field, flat=True))


@pytest.mark.parametrize("name", [name for name in PEOPLE if name != "superuser"])
def test_each_persona_has_what_his_roles_say_and_nothing_more(shop, name):
    access = access_of(shop.people[name])
    roles = PEOPLE[name][0]
    assert access.roles == set(roles)
    assert access.permissions == frozenset().union(*(ROLES[role] for role in roles))
    assert again(shop.people[name]).get_all_permissions() == access.permissions


def test_access_costs_two_queries_and_is_read_once(shop, supervisor):
    fresh = again(supervisor)
    with count_queries(most=2):
        access_of(fresh)
    with count_queries(most=0):
        access_of(fresh)


def test_anonymous_and_inactive_have_nothing(shop, planner, superuser):
    assert access_of(AnonymousUser()) is NOBODY
    assert access_of(None) is NOBODY
    for user in (planner, superuser):
        user.is_active = False
        assert access_of(user) is NOBODY
        assert not user.has_perm("workorders.view_workorder")


def test_leading_reaches_all_below_and_members_lead_nothing(shop, supervisor, operator):
    codes = dict(Department.objects.values_list("pk", "code"))
    led = {codes[pk] for pk in access_of(supervisor).leads}
    assert led == {"production", "cutting", "printing", "outsourcing", "die_cutting", "packaging"}
    assert {codes[pk] for pk in access_of(supervisor).member_of} == {"production"}
    assert access_of(operator).leads == frozenset()


def test_a_row_in_the_database_cannot_widen_a_role(shop, operator):
    permission = Permission.objects.get(codename="approve_workorder")
    operator.user_permissions.add(permission)
    Group.objects.get(name=Role.OPERATOR).permissions.add(permission)
    assert not again(operator).has_perm("workorders.approve_workorder")


def test_every_permission_that_a_role_names_exists(db):
    known = {f"{label}.{codename}" for label, codename in Permission.objects.values_list("content_type__app_label", "codename")}
    assert frozenset().union(*ROLES.values()) <= known


def test_the_auditor_changes_nothing():
    changing = {one for one in ROLES[Role.AUDITOR] if one.split(".")[1].split("_")[0] not in {"view", "export", "explain"}}
    assert changing == {"notices.change_notice"}


def test_only_the_administrator_touches_people():
    holders = {
        role
        for role, permissions in ROLES.items()
        if permissions & {"accounts.change_user", "accounts.change_membership", "accounts.add_user"}
    }
    assert holders == {Role.ADMINISTRATOR}


# persona -> departments, of all eight, that he sees
ALL = {"design", "production", "logistics", "cutting", "printing", "outsourcing", "die_cutting", "packaging"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("maker", ALL), ("salesperson", ALL), ("planner", ALL), ("auditor", ALL), ("administrator", ALL), ("superuser", ALL),
        ("supervisor", ALL - {"design", "logistics"}), ("prepress_lead", {"design"}), ("operator", {"printing"}),
        ("stranger", {"outsourcing"}),         ("nobody", set()),
    ],
)  # fmt: skip
def test_who_sees_which_departments(shop, name, expected):
    assert names(Department.objects, shop.people[name]) == expected


def test_who_sees_which_people(shop):
    everybody = set(User.objects.values_list("username", flat=True))
    for name in ("planner", "auditor", "administrator", "superuser"):
        assert names(User.objects, shop.people[name], "username") == everybody
    assert names(User.objects, shop.people["supervisor"], "username") == {"supervisor", "operator", "second_operator", "stranger"}
    for name in ("maker", "salesperson", "operator", "stranger", "nobody"):
        assert names(User.objects, shop.people[name], "username") == {name}


def test_who_sees_which_customers_and_their_tools(shop):
    factories.ToolFactory(code="MOON-TOOL", customer=shop.other_customer)
    own = {tool.code for tool in shop.tools.values()}
    for name, (customers, foreign) in {
        "maker": ({"SUN", "MOON"}, True),
        "supervisor": ({"SUN", "MOON"}, True),
        "planner": ({"SUN", "MOON"}, True),
        "auditor": ({"SUN", "MOON"}, True),
        "salesperson": ({"SUN"}, False),
        "other_salesperson": ({"MOON"}, True),
        "operator": (set(), None),
        "administrator": (set(), None),
        "nobody": (set(), None),
    }.items():
        assert names(Customer.objects, shop.people[name]) == customers, name
        tools = set() if foreign is None else own | ({"MOON-TOOL"} if foreign else set())
        assert names(Tool.objects, shop.people[name]) == tools, name


def test_whoever_holds_a_role_sees_what_the_shop_makes(shop):
    for name, user in shop.people.items():
        expected = name != "nobody"
        assert bool(names(Product.objects, user)) == expected, name
        assert bool(names(Process.objects, user)) == expected, name


def test_who_sees_which_rules_memberships_tokens_runs_and_notices(
    shop, supervisor, prepress_lead, operator, stranger, auditor, administrator
):
    for user in (operator, stranger):
        factories.AccessTokenFactory(user=user, prefix=user.username[:8])
        factories.ImportRunFactory(owner=user, file_name=user.username)
        factories.NoticeFactory(user=user)
    assert set(DispatchRule.objects.visible_to(prepress_lead)) == set(DispatchRule.objects.filter(department__code="design"))
    assert DispatchRule.objects.visible_to(supervisor).count() == DispatchRule.objects.exclude(department__code="design").count()
    assert list(DispatchRule.objects.visible_to(operator)) == []
    assert names(Membership.objects, operator, "user__username") == {"operator"}
    assert names(Membership.objects, prepress_lead, "user__username") == {"prepress_lead"}
    assert names(AccessToken.objects, operator, "user__username") == {"operator"}
    assert names(AccessToken.objects, supervisor, "user__username") == set()
    for user in (auditor, administrator):
        assert names(AccessToken.objects, user, "user__username") == {"operator", "stranger"}
    assert names(ImportRun.objects, operator, "file_name") == {"operator"}
    assert names(ImportRun.objects, administrator, "file_name") == set()
    assert names(Notice.objects, operator, "user__username") == {"operator"}
    assert names(Notice.objects, auditor, "user__username") == set()


def test_a_department_is_in_a_tree_of_three_levels_without_a_cycle(shop):
    printing, production = shop.departments["printing"], shop.departments["production"]
    third = Department(code="press_1", name="press 1", parent=printing)
    third.full_clean()
    third.save()
    with pytest.raises(ValidationError, match="at most 3 levels"):
        Department(code="fourth", name="fourth", parent=third).full_clean()
    production.parent = third
    with pytest.raises(ValidationError, match="part of itself"):
        production.full_clean()
    production.parent = shop.departments["design"]
    with pytest.raises(ValidationError, match="at most 3 levels"):
        production.full_clean()
    printing.parent = printing
    with pytest.raises(ValidationError, match="part of itself"):
        printing.full_clean()


def test_nobody_belongs_to_a_department_twice(shop, operator):
    twice = Membership(user=operator, department=shop.departments["printing"])
    with pytest.raises(ValidationError, match="already"):
        twice.full_clean()


def test_guardian_gives_no_object_permission_by_itself(shop, operator, draft_order):
    from guardian.shortcuts import get_perms

    assert get_perms(operator, draft_order) == []
    assert not operator.has_perm("workorders.view_workorder", draft_order)
