"""What the history tables tell: what changed on a row, field by field, by whom and when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

UNTOLD = frozenset({"version", "created_at", "updated_at"})  # bookkeeping, no news to anybody
MOST = 100


@dataclass(frozen=True)
class Change:
    """One field of one save. `what` names the part of the object where it is not the object itself."""

    field: str
    old: str
    new: str
    by: str
    at: datetime
    what: str = ""


def history_of(model: type[Model]) -> Any:
    """The history manager of a tracked model, None of any other."""
    return getattr(model, getattr(model._meta, "simple_history_manager_attribute", ""), None)


def shown(instance: Any, field: Any) -> str:
    """A field's value as people read it. At most one query, for a relation that is not loaded."""
    try:
        if field.many_to_many:
            return ", ".join(str(row) for row in getattr(instance, field.name).all())
        if field.choices:
            return str(getattr(instance, f"get_{field.name}_display")() or "")
        value = getattr(instance, field.name)
    except ObjectDoesNotExist:
        return _("deleted")
    if value is True or value is False:
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return date_format(timezone.localtime(value), "Y-m-d H:i")
    return "" if value is None else str(value)


def told_fields(history_model: Any) -> list[Any]:
    """The fields that a history row keeps, without bookkeeping."""
    return [field for field in history_model.tracked_fields if field.name not in UNTOLD and not field.primary_key]


def difference(older: Any, newer: Any) -> list[tuple[str, str, str]]:
    """(field, old, new) for what two history rows of one object differ in."""
    names = {field.name: field for field in told_fields(newer)}
    changed = []
    for name, field in names.items():
        attribute = getattr(field, "attname", name)
        if getattr(older, attribute) != getattr(newer, attribute):
            changed.append((str(field.verbose_name), shown(older, field), shown(newer, field)))
    for many in newer._history_m2m_fields:
        before, after = (_m2m(row, many) for row in (older, newer))
        if before != after:
            changed.append((str(many.verbose_name), ", ".join(before), ", ".join(after)))
    return changed


def _m2m(row: Any, field: Any) -> list[str]:
    target = field.m2m_reverse_field_name()
    found = []
    for link in getattr(row, field.name).select_related(target):
        try:
            found.append(str(getattr(link, target)))
        except ObjectDoesNotExist:
            found.append(_("deleted"))
    return sorted(found)


def changes_since(instance: Model, version: int, parts: Iterable[Any] = ()) -> list[Change]:
    """What was saved on `instance` after its `version` was shown. Newest last.

    `parts` are foreign keys of tracked models to it: rows that are edited together with it.
    """
    history = history_of(type(instance))
    if history is None:
        return []
    rows = list(
        history.filter(**{instance._meta.pk.attname: instance.pk}, version__gte=version)
        .select_related("history_user")
        .order_by("history_id")[:MOST]
    )
    changes = []
    if rows and rows[0].version > version:
        # A row that was written past its history (a bulk load) has no version to compare with: say at least who saved.
        changes.append(Change(_("saved"), "", "", str(rows[0].history_user or ""), rows[0].history_date))
    changes += [
        Change(field, old, new, str(newer.history_user or ""), newer.history_date)
        for older, newer in pairwise(rows)
        for field, old, new in difference(older, newer)
    ]
    if rows:
        for part in parts:
            changes += _changes_of_part(part, instance, rows[0])
    return sorted(changes, key=lambda change: change.at)[:MOST]


def _changes_of_part(field: Any, instance: Model, shown_row: Any) -> list[Change]:
    rows = history_of(field.model).filter(**{field.attname: instance.pk}, history_date__gt=shown_row.history_date)
    if shown_row.request_id:
        rows = rows.exclude(request_id=shown_row.request_id)
    changes = []
    for row in rows.select_related("history_user").order_by("history_id")[:MOST]:
        what, by = str(field.model._meta.verbose_name), str(row.history_user or "")
        if row.history_type == "+":
            changes.append(Change("", "", str(row.instance), by, row.history_date, what))
        elif row.history_type == "-":
            changes.append(Change("", str(row.instance), "", by, row.history_date, what))
        else:
            before = row.prev_record
            told = difference(before, row) if before else [(_("saved"), "", "")]
            changes += [Change(name, old, new, by, row.history_date, f"{what} {row.instance}") for name, old, new in told]
    return changes
