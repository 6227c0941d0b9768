"""The contract of every scoped queryset: who sees which rows is said in `visible_to` and nowhere else."""

from typing import Any, Self

from django.db import models
from django.db.models.lookups import IsNull


class ScopedQuerySet(models.QuerySet):
    """Base of the querysets of scoped models."""

    def visible_to(self, user: Any) -> Self:
        """The rows that `user` may see. Adds no join that multiplies rows and needs no `distinct()`."""
        raise NotImplementedError(f"{self.model.__name__} has no visible_to")

    def locked(self) -> Self:
        """The rows, locked until the transaction ends; related rows stay free. Ordered by pk, so that no two verbs deadlock."""
        return self.select_for_update(of=("self",)).order_by("pk")


def has_one(rows: models.QuerySet) -> IsNull:
    """Whether `rows`, which name an OuterRef, has one: asked of each row by its key, so that a list that is cut short asks few.

    An EXISTS that stands beside an OR or a NOT makes PostgreSQL collect the keys of the whole table before the first row.
    """
    return IsNull(models.Subquery(rows.order_by().values("pk")[:1]), False)
