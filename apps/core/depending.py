"""What stands on a row: asked before one is deleted that others may have begun to use."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import router
from django.db.models import Model, ProtectedError, QuerySet, RestrictedError
from django.db.models.deletion import Collector
from django.utils.translation import gettext as _

from apps.core.errors import RuleError
from apps.core.querysets import ScopedQuerySet


def dependents(instance: Model, parts: Sequence[type[Model]] = ()) -> Iterator[Model]:
    """The rows that deleting `instance` would delete, change, or be refused by. `parts` are models of rows that are a part of it."""
    collector = Collector(using=router.db_for_write(type(instance)), origin=instance)
    try:
        collector.collect([instance])
    except ProtectedError as error:
        yield from error.protected_objects
        return
    except RestrictedError as error:
        yield from error.restricted_objects
        return
    groups: list[Any] = [*collector.data.values(), *collector.fast_deletes]
    groups += [rows for updates in collector.field_updates.values() for rows in updates]
    for rows in groups:
        if isinstance(rows, QuerySet) and (rows.model in parts or rows.model._meta.auto_created):
            continue
        for row in rows:
            if row != instance and not isinstance(row, tuple(parts)) and not row._meta.auto_created:
                yield row


def refuse_if_needed(instance: Model, *, by: Any, parts: Sequence[type[Model]] = ()) -> None:
    """Raise RuleError `needed`, which says what depends on `instance`: by its name, where `by` sees it."""
    first = next(dependents(instance, parts), None)
    if first is None:
        return
    rows, what = type(first)._default_manager.all(), str(first._meta.verbose_name)
    seen = not isinstance(rows, ScopedQuerySet) or rows.visible_to(by).filter(pk=first.pk).exists()
    raise RuleError(_("It is in use: %(what)s.") % {"what": f"{what} {first}" if seen else what}, code="needed")
