"""Resources whose rows have a key of their own: a known one changes its row, a new one adds one, the same values leave it alone."""

from collections.abc import Iterable
from copy import copy
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput, RuleError
from apps.core.reading import shown
from apps.imports.base import Planned, ServiceResource
from apps.imports.models import ImportRow
from apps.imports.tables import ROW


class KeyedResource(ServiceResource):
    """Subclasses say what the key is (`read_key`), which rows have one of these keys (`load`), and how a row is saved (`save`)."""

    fields_told: tuple[str, ...] = ()
    key_column = "code"  # where a remark about the key stands

    # What subclasses say.

    def read_key(self, row: dict[str, Any]) -> Any:
        """The key of the row, as `load` has it; "" where a part of it is blank. Raises InvalidInput for an unreadable one."""
        raise NotImplementedError

    def load(self, keys: set[Any]) -> tuple[dict[Any, Any], set[Any]]:
        """({key: row that `by` may change, locked}, the keys that are taken by other rows)."""
        raise NotImplementedError

    def save(self, instance: Any) -> None:
        """Save through the service."""
        raise NotImplementedError

    def remove(self, instance: Any) -> None:
        """Delete through the service a row that the import had added."""
        raise NotImplementedError

    def label_of(self, instance: Any) -> str:
        return str(instance)

    def told(self, instance: Any) -> list[tuple[str, str, str]]:
        """(column, label, value in words) of what the plan shows of an object."""
        shown_values = []
        for name in self.fields_told:
            field = instance._meta.get_field(name)
            value = getattr(instance, f"get_{name}_display")() if field.choices else getattr(instance, name)
            shown_values.append((name, str(field.verbose_name), "" if value is None else str(value)))
        return shown_values

    def snapshot(self, instance: Any) -> dict[str, Any]:
        """What the row is, as JSON keeps it, for taking a change back."""
        return {name: getattr(instance, instance._meta.get_field(name).attname) for name in self.fields_told}

    def restore(self, instance: Any, before: dict[str, Any]) -> None:
        """Save the row as it was."""
        for name, value in before.items():
            setattr(instance, instance._meta.get_field(name).attname, value)
        self.save(instance)

    # How it works.

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        self.known, self.hidden = self.load({self._key(row) for row in rows} - {""})

    def begin(self) -> None:
        super().begin()
        self.first_row: dict[Any, int] = {}

    def unit_of(self, row: dict[str, Any]) -> Any:
        return self._key(row) or row[ROW]

    def _key(self, row: dict[str, Any]) -> Any:
        try:
            return self.read_key(row)
        except InvalidInput:
            return ""

    def find(self, row: dict[str, Any]) -> Any:
        found = self.known.get(self._key(row))
        return copy(found) if found else None

    def init_instance(self, row: Any = None) -> Any:
        return self._meta.model()

    def before_import_row(self, row: dict[str, Any], **kwargs: Any) -> None:
        super().before_import_row(row, **kwargs)
        key, value = self._key(row), row.get(self.key_column)
        if key and self.first_row.setdefault(key, row[ROW]) != row[ROW]:
            message = _("%(code)s stands in row %(row)s already. Leave one of the two out.")
            told = message % {"code": shown(key if isinstance(key, str) else " ".join(map(str, key))), "row": self.first_row[key]}
            self.problem(told, column=self.key_column, value=value)
        elif key in self.hidden:
            self.problem(self.taken(), column=self.key_column, value=value)

    def taken(self) -> str:
        """What is said of a key that a row out of reach has."""
        return _("This code cannot be used. Ask a planner.")

    def import_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        """What the row was before is remembered for taking the import back."""
        self.seen = instance.version if instance.pk else None
        self.before = self.snapshot(instance) if instance.pk else {}
        super().import_instance(instance, row, **kwargs)

    def planned(self, instance: Any, before: list[tuple[str, str, str]] | None) -> None:
        """Write into the plan what happened to the row: created, changed (old -> new), or the same as before."""
        after = self.told(instance)
        if before is None:
            details = [f"{label}: {value}" for _name, label, value in after if value]
            action = "create"
        else:
            details = [f"{label}: {old} → {new}" for (_n, label, old), (_m, _l, new) in zip(before, after, strict=True) if old != new]
            action = "update" if details else "same"
        what = str(self._meta.model._meta.verbose_name)
        told = Planned(self.row_number, action, what, self.label_of(instance), details, address=self.link_to(instance))
        told.seen, told.after = self.seen, instance.version
        if action == "update":
            told.undo = {"before": self.before}
        self.plan.append(told)

    def take_back(self, row: ImportRow) -> None:
        """A row that was added is deleted, one that was changed gets its old values, if nobody saved it since."""
        instance = self._meta.model.objects.visible_to(self.by).locked().filter(pk=row.address.rpartition(":")[2]).first()
        if instance is None:
            raise RuleError(_("%(what)s is not there any more.") % {"what": row.label}, code="gone")
        if instance.version != row.after:
            raise RuleError(_("%(what)s was changed after the import.") % {"what": row.label}, code="changed")
        if row.action == "create":
            self.remove(instance)
        else:
            self.restore(instance, row.undo["before"])

    @staticmethod
    def link_to(instance: Any) -> str:
        """What the result page links to."""
        return f"{instance._meta.label_lower}:{instance.pk}"


def values_of(told: Iterable[tuple[str, str, str]]) -> list[str]:
    return [value for _name, _label, value in told]
