"""Roles and what each may: the only place that spells permissions. A role is held by being in the group of its name.

The permissions here open a surface (a list, a form, a verb); on which rows, `visible_to` and the verbs decide.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    MAKER = "maker", _("maker")
    SALESPERSON = "salesperson", _("salesperson")
    SUPERVISOR = "supervisor", _("supervisor")
    OPERATOR = "operator", _("operator")
    PLANNER = "planner", _("planner")
    AUDITOR = "auditor", _("auditor")
    ADMINISTRATOR = "administrator", _("administrator")


def _all(app: str, *names: str, may: str = "view add change delete") -> set[str]:
    return {f"{app}.{action}_{name}" for name in names for action in may.split()}


_CATALOG = ("customer", "product", "process", "route", "routestep", "tool")
_ORDER_PARTS = ("orderline", "ordermaterial")
_LOOK = (
    _all("catalog", *_CATALOG, may="view")
    | _all("accounts", "department", may="view")
    | _all("workorders", "workorder", *_ORDER_PARTS, "step", "task", "workevent", may="view")
    | _all("notices", "notice", may="view change")
)
_EXPORTS = _all("imports", "exportrun", may="view") | _all("imports", "savedexport")
_OFFICE = (
    _LOOK
    | _EXPORTS
    | _all("workorders", "workorder", *_ORDER_PARTS)
    | _all("catalog", "tool", may="add change confirm")
    | _all("workorders", "workorder", may="submit cancel export print")
    | _all("scanning", "printout", "linkedcode", may="view")
    | _all("scanning", "linkedcode", may="add delete")
)

ROLES: dict[str, frozenset[str]] = {
    Role.MAKER: frozenset(_OFFICE),
    Role.SALESPERSON: frozenset(_OFFICE | _all("workorders", "workorder", may="approve hold reopen share")),
    Role.SUPERVISOR: frozenset(
        _OFFICE
        | _all("workorders", "workorder", may="approve hold reopen import share dispatch")
        | _all("workorders", "task", may="assign split cancel work dispatch import export share")
        | _all("catalog", "customer", "product", "tool", may="import export")
        | _all("dispatch", "dispatchrule", "dispatchdecision", may="view")
        | _all("accounts", "user", "membership", may="view")
        | _all("imports", "importrun", may="view add")
        | _all("imports", "importprofile", may="view change delete")
        | _all("scanning", "device", "operatorsession", "scan", "badge", may="view")
        | _all("scanning", "scan", may="decide enter")
        | _all("scanning", "badge", may="issue")
    ),
    Role.OPERATOR: frozenset(
        _all("workorders", "task", may="view work")
        | _all("workorders", "workevent", may="view")
        | _all("notices", "notice", may="view change")
    ),
    Role.PLANNER: frozenset(
        _LOOK
        | _EXPORTS
        | _all("catalog", *_CATALOG)
        | _all("catalog", "tool", may="confirm")
        | _all("catalog", "customer", "product", "tool", may="import export")
        | _all("dispatch", "dispatchrule", may="view add change delete import export")
        | _all("dispatch", "dispatchdecision", may="view")
        | _all("accounts", "user", "membership", may="view")
        | _all("imports", "importrun", may="view add")
        | _all("imports", "importprofile", may="view change delete")
        | _all("workorders", "workorder", "task", may="export dispatch")
        | _all("workorders", "task", may="assign")
        | _all("workorders", "workorder", may="print")
        | _all("scanning", "device", "scan", "printout", "linkedcode", may="view")
    ),
    Role.AUDITOR: frozenset(
        _LOOK
        | _all("imports", "exportrun", may="view")
        | _all("dispatch", "dispatchrule", "dispatchdecision", may="view")
        | _all("accounts", "user", "membership", "accesstoken", may="view")
        | _all("imports", "importrun", may="view")
        | _all("workorders", "workorder", "task", may="export")
        | _all("scanning", "device", "badge", "operatorsession", "scan", "printout", "linkedcode", may="view")
        | {"accounts.view_deleted"}
    ),
    Role.ADMINISTRATOR: frozenset(
        _all("accounts", "user", "department", "membership")
        | _all("accounts", "user", may="import export")
        | _all("imports", "importrun", may="view add")
        | _all("imports", "importprofile", may="view change delete")
        | _all("accounts", "accesstoken", may="view change delete")
        | _all("notices", "notice", may="view change")
        | _all("catalog", "process", may="view")
        | _all("workorders", "workorder", may="explain")
        | _all("scanning", "device", may="view add change")
        | _all("scanning", "badge", "operatorsession", may="view")
        | _all("scanning", "badge", may="issue")
        | _all("ops", "backup", may="view download")
        | {"ops.view_operations"}
        | _all("core", "jobrun", may="view retry")
    ),
}

# These see every row of every scoped model that their permissions open.
SEES_ALL = frozenset({Role.PLANNER, Role.AUDITOR})
