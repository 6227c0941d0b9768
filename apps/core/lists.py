"""Lists of the admin: long ones are counted up to a limit, and sorted by keys alone; what is the same in each row is made once."""

from functools import cache, cached_property
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import get_language
from unfold.admin import checkbox
from unfold.templatetags import unfold_list
from unfold.views import ChangeList

COUNTED = 10_000  # as far as the API's pages reach


class AtLeast(int):
    """A number that was not counted to its end, and says so."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class CappedPaginator(Paginator):
    """Counts, and reaches, no further than COUNTED rows: a search or a filter finds the rest."""

    @cached_property
    def count(self) -> int:
        counted = self.object_list.order_by().values("pk")[: COUNTED + 1].count()
        return AtLeast(COUNTED) if counted > COUNTED else counted


class ScopedList(ChangeList):
    """Every list. Where a row's page leads back to is added once: asked for each row, the admin looks the address up each time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.way_back, self.preserved_filters = self.preserved_filters, ""

    def url_for_result(self, result: Any) -> str:
        url = super().url_for_result(result)
        return f"{url}?{self.way_back}" if self.way_back else url


class KeysFirst(ScopedList):
    """Two queries for a page: its keys, then their rows with all that a row shows. In one, a database joins the whole table for them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        keys = list(self.result_list.values_list("pk", flat=True))
        order = self.queryset.query.order_by
        self.result_list = self.root_queryset.filter(pk__in=keys).order_by(*order)


class LongList:
    """For a ModelAdmin of a table that grows without end."""

    paginator = CappedPaginator

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysFirst


def headers_once() -> None:
    """Have Unfold make the headers of a list once: it makes them anew for each row, which takes a sixth of the page's time."""
    made = unfold_list.result_headers

    def headers(cl: ChangeList) -> list[dict[str, Any]]:
        if "docket_headers" not in vars(cl):
            cl.docket_headers = list(made(cl))
        return cl.docket_headers

    unfold_list.result_headers = headers


@cache
def _check_box(language: str) -> str:
    """Unfold's check box of a row in this language, {} where its key stands."""
    return checkbox.render(ACTION_CHECKBOX_NAME, "{}")


def check_box(key: Any) -> str:
    """What chooses a row for an action: rendered once, and not for each row."""
    return format_html(_check_box(get_language() or ""), key)
