"""People through the admin: who may change whom, and what is written down about it."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from apps.accounts.access import access_of
from apps.accounts.models import AccessToken, Department, Membership, User
from apps.accounts.roles import Role
from apps.accounts.services import issue_token
from apps.workorders.models import WorkOrder
from tests.factories import DepartmentFactory, UserFactory, WorkOrderFactory
from tests.personas import PASSWORD, again, client_of
from tests.queries import count_queries
from tests.shop import Shop

PLACES = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0, "memberships-MIN_NUM_FORMS": 0, "memberships-MAX_NUM_FORMS": 1000}


def page(person: User, name: str = "change") -> str:
    return reverse(f"admin:accounts_user_{name}", args=[person.pk])


def entries(person: User, **changes: object) -> dict:
    """What the form of `person` sends."""
    person = again(person)
    data = {"username": person.username, "name": person.name, "email": "", "absent_until": "", "is_staff": "on", "version": person.version}
    roles = list(person.groups.values_list("name", flat=True))
    return {key: value for key, value in (PLACES | data | {"roles": roles} | changes).items() if value is not None}


def test_an_administrator_gives_roles_and_the_history_says_so(shop: Shop, administrator: User, maker: User) -> None:
    answer = client_of(administrator).post(page(maker), entries(maker, roles=[Role.PLANNER, Role.MAKER]))
    assert answer.status_code == 302
    assert access_of(again(maker)).roles == {Role.MAKER, Role.PLANNER}
    row = maker.history.latest("history_id")
    assert row.history_user == administrator
    assert row.history_change_reason == "roles: maker -> maker, planner"
    assert row.source == "admin"


def test_roles_that_stay_write_no_history(shop: Shop, administrator: User, maker: User) -> None:
    client_of(administrator).post(page(maker), entries(maker))
    assert maker.history.count() == 0


def test_groups_that_are_no_roles_stay(shop: Shop, administrator: User, maker: User) -> None:
    maker.groups.add(Group.objects.create(name="night shift"))
    client_of(administrator).post(page(maker), entries(maker, roles=[Role.PLANNER]))
    assert set(maker.groups.values_list("name", flat=True)) == {"night shift", "planner"}


@pytest.mark.parametrize(
    ("change", "field"),
    [({"roles": [Role.PLANNER]}, "roles"), ({"is_staff": None}, "is_staff")],
)
def test_an_administrator_cannot_shut_himself_out(shop: Shop, administrator: User, change: dict, field: str) -> None:
    answer = client_of(administrator).post(page(administrator), entries(administrator, **change))
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert access_of(again(administrator)).roles == {Role.ADMINISTRATOR}
    assert again(administrator).is_staff


def test_an_administrator_cannot_deactivate_himself(shop: Shop, administrator: User) -> None:
    address = reverse("admin:accounts_user_verb_deactivate", args=[administrator.pk])
    assert client_of(administrator).post(address, {}).status_code == 409
    assert again(administrator).is_active


def test_an_administrator_cannot_make_himself_superuser(shop: Shop, administrator: User) -> None:
    client = client_of(administrator)
    assert "is_superuser" not in client.get(page(administrator)).content.decode()
    assert client.post(page(administrator), entries(administrator, is_superuser="on")).status_code == 302
    assert not again(administrator).is_superuser


def test_an_administrator_cannot_change_a_superuser(shop: Shop, administrator: User, superuser: User) -> None:
    client = client_of(administrator)
    assert client.post(page(superuser), entries(superuser, name="Mine")).status_code == 403
    address = reverse("admin:auth_user_password_change", args=[superuser.pk])
    password = {"password1": "long-and-new-1", "password2": "long-and-new-1", "usable_password": "true"}
    assert client.post(address, password).status_code == 403
    assert client.post(reverse("admin:accounts_user_verb_deactivate", args=[superuser.pk]), {}).status_code == 403
    assert client.post(page(superuser, "delete"), {"post": "yes"}).status_code == 403
    fresh = again(superuser)
    assert fresh.check_password(PASSWORD)
    assert fresh.is_active
    assert fresh.name == "Superuser"


def test_a_superuser_may_make_another(shop: Shop, superuser: User, maker: User) -> None:
    client = client_of(superuser)
    assert "is_superuser" in client.get(page(maker)).content.decode()
    assert client.post(page(maker), entries(maker, is_superuser="on")).status_code == 302
    assert again(maker).is_superuser


def test_nobody_changes_the_systems_own_account(shop: Shop, superuser: User) -> None:
    from apps.accounts.services import system_user

    system = system_user()
    assert client_of(superuser).post(page(system), entries(system, name="Mine")).status_code == 403


@pytest.mark.parametrize("name", ["supervisor", "planner", "auditor"])
def test_others_only_look(shop: Shop, name: str, maker: User) -> None:
    person = shop.people[name]
    member = shop.people["operator"]
    client = client_of(person)
    answer = client.get(page(member))
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "md5$" not in text
    assert "argon2" not in text
    assert client.post(page(member), entries(member, name="Changed")).status_code == 403
    assert again(member).name == "Operator"


def test_a_supervisor_sees_only_his_people(shop: Shop, supervisor: User, prepress_lead: User, operator: User) -> None:
    client = client_of(supervisor)
    assert client.get(page(prepress_lead)).status_code == 404
    text = client.get(reverse("admin:accounts_user_changelist")).content.decode()
    assert "operator" in text
    assert "prepress_lead" not in text


def test_a_new_account_with_a_role_and_a_department(shop: Shop, administrator: User) -> None:
    data = {
        "username": "anna", "name": "Anna", "email": "anna@example.com", "usable_password": "true", "password1": "shop-floor-77",
        "password2": "shop-floor-77", "roles": [Role.OPERATOR], "is_staff": "on", "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0, "memberships-0-department": shop.departments["printing"].pk, "memberships-0-is_lead": "",
    }  # fmt: skip
    answer = client_of(administrator).post(reverse("admin:accounts_user_add"), data)
    assert answer.status_code == 302, answer.context["errors"]
    anna = User.objects.get(username="anna")
    assert anna.check_password("shop-floor-77")
    assert access_of(anna).roles == {Role.OPERATOR}
    assert access_of(anna).member_of == {shop.departments["printing"].pk}
    assert Membership.history.get(user=anna).history_user == administrator


def test_an_administrator_sets_a_password_and_the_history_keeps_no_value(shop: Shop, administrator: User, maker: User) -> None:
    address = reverse("admin:auth_user_password_change", args=[maker.pk])
    data = {"password1": "shop-floor-77", "password2": "shop-floor-77", "usable_password": "true"}
    assert client_of(administrator).post(address, data).status_code == 302
    assert again(maker).check_password("shop-floor-77")
    row = maker.history.latest("history_id")
    assert (row.history_user, row.history_change_reason) == (administrator, "password")
    assert not hasattr(row, "password")


def test_an_account_with_a_past_is_deactivated_not_deleted(shop: Shop, administrator: User, maker: User) -> None:
    WorkOrderFactory(created_by=maker)
    client = client_of(administrator)
    text = client.get(page(maker, "delete")).content.decode()
    assert "Deactivate it instead" in text
    client.post(page(maker, "delete"), {"post": "yes"})
    assert User.objects.filter(pk=maker.pk).exists()
    answer = client.post(reverse("admin:accounts_user_verb_deactivate", args=[maker.pk]), {})
    assert answer.status_code == 302
    assert not again(maker).is_active
    assert maker.history.latest("history_id").history_user == administrator
    assert WorkOrder.objects.filter(created_by=maker).exists()


def test_a_deactivated_account_is_out_at_once(shop: Shop, administrator: User, maker: User) -> None:
    theirs = client_of(maker)
    assert theirs.get(reverse("admin:index")).status_code == 200
    client_of(administrator).post(reverse("admin:accounts_user_verb_deactivate", args=[maker.pk]), {})
    assert theirs.get(reverse("admin:index")).status_code == 302
    client_of(administrator).post(reverse("admin:accounts_user_verb_activate", args=[maker.pk]), {})
    assert again(maker).is_active


def test_there_is_no_page_for_groups(shop: Shop, superuser: User) -> None:
    assert client_of(superuser).get("/admin/auth/group/").status_code == 404


@pytest.mark.parametrize(
    ("query", "found"), [("role=none", {"nobody", "superuser"}), ("role=planner", {"planner"}), ("absent=yes", {"maker"})]
)
def test_filters_of_people(shop: Shop, administrator: User, maker: User, query: str, found: set) -> None:
    User.objects.filter(pk=maker.pk).update(absent_until="2099-01-01")
    answer = client_of(administrator).get(f"{reverse('admin:accounts_user_changelist')}?{query}")
    assert {person.username for person in answer.context["cl"].result_list} == found


def test_the_list_of_people_costs_the_same_for_many(shop: Shop, administrator: User) -> None:
    def cost() -> int:
        client = client_of(administrator)
        client.get(reverse("admin:index"))
        with count_queries() as queries:
            assert client.get(reverse("admin:accounts_user_changelist")).status_code == 200
        return len(queries)

    first = cost()
    for _number in range(20):
        person = UserFactory()
        person.groups.add(Group.objects.get(name=Role.OPERATOR))
        Membership.objects.create(user=person, department=shop.departments["printing"])
    assert cost() == first
    assert first <= 13


def test_departments_stand_below_what_they_belong_to(shop: Shop, administrator: User) -> None:
    DepartmentFactory(code="digital", name="digital", parent=shop.departments["printing"], position=0)
    answer = client_of(administrator).get(reverse("admin:accounts_department_changelist"))
    codes = [department.code for department in answer.context["cl"].result_list]
    assert codes == ["design", "production", "cutting", "printing", "digital", "outsourcing", "die_cutting", "packaging", "logistics"]


def test_the_tree_of_departments_costs_the_same_for_many(shop: Shop, administrator: User) -> None:
    def cost() -> int:
        client = client_of(administrator)
        client.get(reverse("admin:index"))
        with count_queries() as queries:
            client.get(reverse("admin:accounts_department_changelist"))
        return len(queries)

    first = cost()
    for _number in range(12):
        Membership.objects.create(user=UserFactory(), department=DepartmentFactory(parent=shop.departments["production"]))
    assert cost() == first


def test_a_department_cannot_be_part_of_itself(shop: Shop, administrator: User) -> None:
    production, printing = shop.departments["production"], shop.departments["printing"]
    data = {"code": "production", "name": "production", "name_zh": "", "parent": printing.pk, "position": 1, "version": production.version}
    address = reverse("admin:accounts_department_change", args=[production.pk])
    answer = client_of(administrator).post(address, PLACES | data)
    assert answer.status_code == 200
    assert "parent" in answer.context["adminform"].form.errors
    assert Department.objects.get(code="production").parent_id is None


def test_a_token_is_revoked_by_a_button_and_its_value_is_nowhere(shop: Shop, administrator: User, operator: User) -> None:
    token, text = issue_token(operator)
    client = client_of(administrator)
    listed = client.get(reverse("admin:accounts_accesstoken_changelist")).content.decode()
    shown = client.get(reverse("admin:accounts_accesstoken_change", args=[token.pk])).content.decode()
    for answer in (listed, shown):
        assert text not in answer
        assert token.digest not in answer
    address = reverse("admin:accounts_accesstoken_verb_revoke", args=[token.pk])
    assert client.get(address).status_code == 200
    assert AccessToken.objects.get(pk=token.pk).revoked_at is None
    assert client.post(address, {}).status_code == 302
    assert AccessToken.objects.get(pk=token.pk).revoked_at is not None


def test_an_auditor_sees_tokens_and_revokes_none(shop: Shop, auditor: User, operator: User) -> None:
    token, _text = issue_token(operator)
    client = client_of(auditor)
    assert client.get(reverse("admin:accounts_accesstoken_changelist")).status_code == 200
    assert client.post(reverse("admin:accounts_accesstoken_verb_revoke", args=[token.pk]), {}).status_code == 403
    assert AccessToken.objects.get(pk=token.pk).revoked_at is None


def sign_in(client: object, username: str, password: str) -> object:
    return client.post(reverse("admin:login"), {"username": username, "password": password, "next": reverse("admin:index")})


def test_signing_in_leads_to_the_home_page(shop: Shop, maker: User) -> None:
    client = client_of(None)
    answer = sign_in(client, "maker", PASSWORD)
    assert answer.status_code == 302
    assert answer["Location"] == reverse("admin:index")


def test_a_wrong_password_and_an_unknown_name_read_the_same(shop: Shop) -> None:
    client = client_of(None)
    said = [sign_in(client, name, "wrong-password").context["form"].non_field_errors() for name in ("maker", "no_such_name")]
    assert len(said[0]) == 1
    assert said[0] == said[1]


def test_who_has_no_office_pages_is_told(shop: Shop, operator: User) -> None:
    User.objects.filter(pk=operator.pk).update(is_staff=False)
    answer = sign_in(client_of(None), "operator", PASSWORD)
    assert answer.status_code == 200
    assert answer.context["form"].has_error("__all__", "no_office")


def test_guessing_is_slowed_down(shop: Shop) -> None:
    client = client_of(None)
    for _number in range(10):
        sign_in(client, "maker", "wrong-password")
    answer = sign_in(client, "maker", PASSWORD)
    assert answer.context["form"].has_error("__all__", "throttled")
