"""The contract of every scoped queryset: who sees which rows is said in `visible_to` and nowhere else."""

from typing import Any, Self

from django.db import models


class ScopedQuerySet(models.QuerySet):
    """Base of the querysets of scoped models."""

    def visible_to(self, user: Any) -> Self:
        """The rows that `user` may see. Adds no join that multiplies rows and needs no `distinct()`."""
        raise NotImplementedError(f"{self.model.__name__} has no visible_to")

    def locked(self) -> Self:
        """The rows, locked until the transaction ends; related rows stay free. Ordered by pk, so that no two verbs deadlock."""
        return self.select_for_update(of=("self",)).order_by("pk")
