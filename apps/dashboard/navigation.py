"""The sidebar: for each person the pages that he may open, with counts of what waits for him."""

from typing import Any

from django.apps import apps
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import AccessToken, Department, User
from apps.accounts.roles import Role
from apps.catalog.models import Customer, Process, Product, Route, Tool
from apps.core.models import JobRun
from apps.dashboard import figures
from apps.dashboard.links import list_of, may_open
from apps.dispatch.models import DispatchDecision, DispatchRule
from apps.imports.models import ExportRun, ImportRun
from apps.notices.models import Notice
from apps.scanning.models import Badge, Device, OperatorSession, Scan
from apps.workorders.models import Task, WorkEvent, WorkOrder


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Unfold's navigation groups. Three queries at most: who the user is, and one that counts everything."""
    groups = pages(request.user)
    badges = figures.badges(request.user)
    for group in groups:
        for item in group["items"]:
            number = badges.get(item.pop("counts", ""), 0)
            if number:
                item["badge"] = "99+" if number > 99 else str(number)
    _mark_active(request, groups)
    return groups


def pages(user: Any) -> list[dict[str, Any]]:
    """Every page of the sidebar that `user` may open, grouped. `counts` names the badge of figures.badges. No query of its own."""
    groups = [
        {"items": [{"title": _("Home"), "icon": "home", "link": reverse("admin:index")}, *_waiting(user)]},
        {
            "title": _("Production"),
            "separator": True,
            "items": [
                *_page(user, WorkOrder, _("Work orders"), "receipt_long"),
                *_page(user, Task, _("Tasks"), "checklist", filters=OPEN_TASKS),
                *_page(user, WorkEvent, _("Events"), "history"),
                *_page(user, ImportRun, _("Imports"), "upload_file"),
                *_page(user, ExportRun, _("My exports"), "download"),
            ],
        },
        {
            "title": _("Catalogue"),
            "separator": True,
            "items": [
                *_page(user, Customer, _("Customers"), "storefront"),
                *_page(user, Product, _("Products"), "inventory_2"),
                *_page(user, Route, _("Routes"), "route"),
                *_page(user, Process, _("Processes"), "precision_manufacturing"),
                *_page(user, Tool, _("Tools"), "handyman"),
            ],
        },
        {
            "title": _("Dispatch"),
            "separator": True,
            "items": [
                *_page(user, DispatchRule, _("Rules"), "alt_route"),
                *_page(user, DispatchDecision, _("Decisions"), "psychology"),
            ],
        },
        {
            "title": _("Floor"),
            "separator": True,
            "items": [
                *_page(user, Scan, _("Scans"), "qr_code_scanner"),
                *_page(user, Device, _("Handhelds"), "barcode_reader"),
                *_page(user, Badge, _("Badges"), "badge"),
                *_page(user, OperatorSession, _("Signed in"), "how_to_reg", filters=SIGNED_IN),
            ],
        },
        {
            "title": _("People"),
            "separator": True,
            "items": [
                *_page(user, User, _("Users"), "group"),
                *_page(user, Department, _("Departments"), "account_tree"),
                *_page(user, AccessToken, _("Access tokens"), "key"),
            ],
        },
        {
            "title": _("Operations"),
            "separator": True,
            "items": _operations(user),
        },
    ]
    return [group for group in groups if group["items"]]


def _operations(user: Any) -> list[dict[str, Any]]:
    """What the people who look after the machine open. By name: their app stands on this one."""
    overview = [{"title": _("How it runs"), "icon": "monitor_heart", "link": reverse("operations")}]
    return [
        *(overview if access_of(user).has("ops.view_operations") else []),
        *_page(user, JobRun, _("Background jobs"), "manufacturing"),
        *_page(user, apps.get_model("ops", "Backup"), _("Backups"), "backup"),
    ]


def _page(user: Any, model: type, title: str, icon: str, **item: Any) -> list[dict[str, Any]]:
    if not may_open(user, model):
        return []
    filters = item.pop("filters", {})
    return [{"title": title, "icon": icon, "link": list_of(model, **filters)} | item]


def _waiting(user: Any) -> list[dict[str, Any]]:
    """The lists that are counted: what waits for somebody to act on it."""
    access = access_of(user)
    items: list[dict[str, Any]] = []
    if access.is_(Role.OPERATOR):
        items += _page(user, Task, _("My tasks"), "assignment_ind", counts="mine", badge_variant="info", filters=MY_TASKS)
        items += _page(user, Task, _("To claim"), "front_hand", counts="queue", badge_variant="primary", filters=MY_QUEUE)
    if access.has("workorders.approve_workorder"):
        items += _page(user, WorkOrder, _("Waiting for you"), "approval", counts="waiting", badge_variant="warning", filters=WAITING)
    if access.has("workorders.view_workorder"):
        items += _page(user, WorkOrder, _("Late orders"), "running_with_errors", counts="late", badge_variant="danger", filters=LATE)
    if access.has("workorders.dispatch_task") and access.sees_all:
        items += _page(user, Task, _("Undispatched"), "move_to_inbox", counts="undispatched", badge_variant="warning", filters=UNDISPATCHED)
    if access.has("scanning.decide_scan"):
        items += _page(user, Scan, _("Late scans"), "inbox_customize", counts="inbox", badge_variant="warning", filters=INBOX)
    return [*items, *_page(user, Notice, _("Notices"), "notifications", counts="notices", badge_variant="info")]


# What the lists are filtered by.
WAITING = {"waiting": "yes"}
LATE = {"late": "yes"}
LATE_TASKS = {"late": "yes", "open": "yes"}
UNDISPATCHED = {"undispatched": "yes"}
OPEN_TASKS = {"open": "yes"}
MY_TASKS = {"mine": "yes"}
MY_QUEUE = {"claimable": "yes"}
SIGNED_IN = {"state": "open"}
INBOX = {"inbox": "yes"}


def _mark_active(request: HttpRequest, groups: list[dict[str, Any]]) -> None:
    """Exactly one item is the present one: the filtered list if the address has its filter, else the plain one."""
    items = [item for group in groups for item in group["items"]]
    for item in items:
        item["active"] = False
    here = [item for item in items if _is_at(request, item["link"])]
    if here:
        max(here, key=lambda item: len(item["link"]))["active"] = True


def _is_at(request: HttpRequest, link: str) -> bool:
    address, _mark, query = link.partition("?")
    if address == reverse("admin:index"):
        return request.path == address
    if query:
        return request.path == address and all(part in request.META.get("QUERY_STRING", "").split("&") for part in query.split("&"))
    return request.path.startswith(address)
