"""The command palette (Ctrl+K): pages, and orders, tasks, customers and products that the user sees. Nothing is cached.

Orders and tasks are found by the codes on their paper, too.
"""

import re
import time
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from unfold.dataclasses import SearchResult

from apps.catalog.models import Customer, Product
from apps.dashboard.links import may_open, page_of
from apps.dashboard.navigation import pages
from apps.scanning.services.finding import named_by
from apps.workorders.models import Task, WorkOrder

MOST = 20
LONGEST = 80  # characters of a search term; nothing in the shop is called by a longer name
TASK_NUMBER = re.compile(r"t?(\d{1,18})", re.IGNORECASE)


def search(request: HttpRequest) -> HttpResponse:
    """The palette's answer. Unfold's own keeps answers for five minutes, so that a right taken away would linger."""
    started = time.perf_counter()
    term = request.GET.get("s", "").replace("\x00", "").strip()[:LONGEST]
    if not term:
        return HttpResponse()
    results = _pages(request, term) + (find(request, term) if "extended" in request.GET else [])
    page = Paginator(results, MOST * 2).get_page(1)
    return TemplateResponse(
        request,
        "unfold/helpers/command_results.html" if "extended" in request.GET else "unfold/helpers/search_results.html",
        {"page_obj": page.paginator, "results": page, "page_counter": 0, "execution_time": time.perf_counter() - started},
        headers={"HX-Trigger": "search"},
    )


def _pages(request: HttpRequest, term: str) -> list[SearchResult]:
    items = [(group, item) for group in pages(request.user) for item in group["items"]]
    return [
        SearchResult(title=item["title"], description=group.get("title", _("Home")), link=item["link"], icon=item["icon"])
        for group, item in items
        if term.lower() in item["title"].lower()
    ]


def find(request: HttpRequest, term: str) -> list[SearchResult]:
    """At most 20 rows that `term` names, from what the user sees: his orders first. One query for each kind."""
    found: list[SearchResult] = []
    for model, icon, queryset in _kinds(request.user, term):
        if len(found) < MOST and may_open(request.user, model):
            rows = queryset[: MOST - len(found)]
            found += [SearchResult(title=str(row), description=_says(row), link=page_of(model, row.pk), icon=icon) for row in rows]
    return found


def _kinds(user: Any, term: str) -> list[tuple[type, str, QuerySet]]:
    named = Q(number__icontains=term) | Q(external_number__icontains=term) | Q(customer__name__icontains=term)
    number = TASK_NUMBER.fullmatch(term)
    tasks = Task.objects.visible_to(user).select_related("order", "step__process")
    meant = Q(pk=number[1]) if number else Q(order__number=term)
    printed = named_by(term)
    if WorkOrder in printed:
        named, meant = named | printed[WorkOrder], meant | printed[Task]
    called = Q(name__icontains=term) | Q(code__icontains=term)
    return [
        (WorkOrder, "receipt_long", WorkOrder.objects.visible_to(user).filter(named).select_related("customer").order_by("-pk")),
        (Task, "checklist", tasks.filter(meant)),
        (Customer, "storefront", Customer.objects.visible_to(user).filter(called).order_by("name")),
        (Product, "inventory_2", Product.objects.visible_to(user).filter(called).order_by("code")),
    ]


def _says(row: Any) -> str:
    """What tells the row from its likes."""
    if isinstance(row, WorkOrder):
        return f"{row.customer or _('no customer')} · {row.get_status_display()}"
    if isinstance(row, Task):
        return f"{row.order.number} · {row.step.process.label} · {row.get_status_display()}"
    return f"{row._meta.verbose_name} · {row.code}"
