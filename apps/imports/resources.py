"""How people with their departments come in from tables. Here, because accounts stand before imports."""

import re
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Department, User
from apps.accounts.people import may_change, remove_person, save_person
from apps.accounts.roles import Role
from apps.core.errors import RuleError
from apps.core.reading import is_blank, label_words, plain, read_choice, read_text, unknown
from apps.imports.base import Column
from apps.imports.keyed import KeyedResource, values_of
from apps.imports.registry import register

YES_NO = {"yes": True, "是": True, "true": True, "1": True, "no": False, "否": False, "false": False, "0": False}
ROLES = {
    "制单员": Role.MAKER, "业务员": Role.SALESPERSON, "主管": Role.SUPERVISOR, "操作员": Role.OPERATOR, "计划员": Role.PLANNER,
    "审计员": Role.AUDITOR, "管理员": Role.ADMINISTRATOR,
}  # fmt: skip


def _several(value: Any) -> list[str]:
    return [part for part in (plain(one) for one in re.split(r"[,，;；、|\n]", read_text(value))) if part]


def _username(_resource: Any, value: Any) -> str:
    return plain(read_text(value, User._meta.get_field("username").max_length))


def _text(field: str) -> Any:
    most = User._meta.get_field(field).max_length
    return lambda _resource, value: read_text(value, most)


def _roles(_resource: Any, value: Any) -> list[str]:
    words = label_words(Role) | {role.value: role for role in Role} | ROLES
    return sorted({read_choice(one, words, _("role")).value for one in _several(value)})


def _departments(resource: "PeopleResource", value: Any) -> list[str]:
    codes = []
    for name in _several(value):
        found = resource.departments.get(name.casefold())
        if found is None:
            raise unknown(name, _("department"), [one.code for one in resource.departments.values()])
        codes.append(found.code)
    return codes


class PeopleResource(KeyedResource):
    """Accounts, by their sign-in name. No password is ever read; who is a superuser, or the system's own account, stays as it is."""

    permission = "accounts.import_user"
    sheet_names = ("人员", "用户", "员工", "people", "users")
    fields_told = ("name", "email", "is_staff")
    key_column = "username"

    username = Column("username", gettext_lazy("User name"), "用户名", "登录名", "账号", "user", "login", read=_username, required=True)
    name = Column("name", gettext_lazy("Name"), "姓名", "名字", "full name", read=_text("name"))
    email = Column("email", gettext_lazy("E-mail"), "邮箱", "电子邮件", "email address", read=_text("email"))
    roles = Column("wanted_roles", gettext_lazy("Roles"), "角色", "role", read=_roles)
    departments = Column("member_of", gettext_lazy("Departments"), "部门", "车间", "department", read=_departments)
    leads = Column("leads", gettext_lazy("Leads"), "负责部门", "主管部门", "lead of", read=_departments)
    office = Column(
        "is_staff", gettext_lazy("Office pages"), "办公页面", "office", read=lambda _r, value: read_choice(value, YES_NO, _("answer"))
    )

    class Meta:
        model = User

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        departments = Department.objects.visible_to(self.by).active()
        self.departments = {plain(name).casefold(): one for one in departments for name in (one.name_zh, one.name, one.code) if name}
        super().prepare(rows)

    def read_key(self, row: dict[str, Any]) -> str:
        return "" if is_blank(row.get("username")) else _username(self, row["username"])

    def load(self, keys: set[str]) -> tuple[dict[str, User], set[str]]:
        known = {person.username: person for person in User.objects.visible_to(self.by).filter(username__in=keys).locked()}
        return known, set(User.objects.filter(username__in=keys).values_list("username", flat=True)) - known.keys()

    def taken(self) -> str:
        return _("This account cannot be changed by an import.")

    def init_instance(self, row: Any = None) -> User:
        return User(is_staff=True)

    def label_of(self, instance: User) -> str:
        return f"{instance.username} · {instance.name}" if instance.name else instance.username

    @staticmethod
    def _held(person: User) -> tuple[list[str], dict[str, bool]]:
        """The person's roles, and the departments with whether he leads them. Two queries."""
        if person.pk is None:
            return [], {}
        roles = person.groups.filter(name__in=Role.values).order_by("name").values_list("name", flat=True)
        return list(roles), dict(person.memberships.order_by("department__code").values_list("department__code", "is_lead"))

    def told(self, instance: User) -> list[tuple[str, str, str]]:
        return self._told(instance, *self._held(instance))

    def _told(self, instance: User, roles: list[str], places: dict[str, bool]) -> list[tuple[str, str, str]]:
        name, email, (_name, _label, office) = super().told(instance)
        return [
            name, email, ("office", str(_("Office pages")), _("yes") if office == "True" else _("no")),
            ("roles", str(_("Roles")), ", ".join(str(Role(role).label) for role in roles)),
            ("departments", str(_("Departments")), ", ".join(f"{code} ★" if leads else code for code, leads in sorted(places.items()))),
        ]  # fmt: skip

    def snapshot(self, instance: User) -> dict[str, Any]:
        roles, places = self._held(instance)
        return super().snapshot(instance) | {"roles": roles, "places": places}

    def store(self, instance: User, *, is_new: bool) -> None:
        held, places = self._held(instance)
        roles, wanted = getattr(instance, "wanted_roles", None), self._wanted(instance, places)
        before = None if is_new else self._told(User.objects.get(pk=instance.pk), held, places)
        after = self._told(instance, held if roles is None else roles, places if wanted is None else wanted)
        if before is None or values_of(after) != values_of(before):
            if not (is_new or may_change(self.by, instance)):
                raise RuleError(self.taken(), code="foreign_account", field="username")
            save_person(instance, by=self.by, roles=roles, places=wanted)
        self.planned(instance, before)

    @staticmethod
    def _wanted(instance: User, present: dict[str, bool]) -> dict[str, bool] | None:
        """The departments as the row says; a blank cell leaves what it is about."""
        member_of, leads = getattr(instance, "member_of", None), getattr(instance, "leads", None)
        if member_of is None and leads is None:
            return None
        if leads is None:
            return {code: present.get(code, False) for code in member_of}
        staying = member_of if member_of is not None else [code for code, is_lead in present.items() if not is_lead]
        return dict.fromkeys(staying, False) | dict.fromkeys(leads, True)

    def restore(self, instance: User, before: dict[str, Any]) -> None:
        for name in self.fields_told:
            setattr(instance, name, before[name])
        save_person(instance, by=self.by, roles=before["roles"], places=before["places"])

    def remove(self, instance: User) -> None:
        remove_person(instance, by=self.by)


register("people", gettext_lazy("People with their departments"), PeopleResource)
