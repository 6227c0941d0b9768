"""Long lists of the admin: counted up to a limit, sorted by keys alone, and only a page of rows is ever loaded."""

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest
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


class KeysFirst(ChangeList):
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
