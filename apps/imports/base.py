"""The base of every import: django-import-export's resource, whose rows are saved by a service function and never by `save()`."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils.translation import gettext as _
from import_export.fields import Field
from import_export.instance_loaders import BaseInstanceLoader
from import_export.resources import Resource
from import_export.results import Result
from tablib import Dataset

from apps.core.context import signed
from apps.core.errors import InvalidInput, RuleError
from apps.core.reading import english, is_blank, shown
from apps.imports.tables import ROW, SPOILT, Broken, Remark, Sheet, Table, find_header, normal, read_table

UNDERSTOOD = "read"  # the level of a remark that says how an unusual value was read


class Column(Field):
    """A column of a table: its English and Chinese headers, how a cell is read, and whether one is needed.

    `read(resource, value)` answers with the value or raises InvalidInput. A blank cell leaves the attribute as it is.
    """

    def __init__(
        self, attribute: str, label: Any, *headers: str, read: Callable[[Any, Any], Any], required: bool = False, tell: bool = False
    ) -> None:
        super().__init__(attribute=attribute, column_name=attribute, saves_null_values=False)
        self.label, self.headers, self.read, self.required, self.tell = label, headers, read, required, tell

    def expected(self) -> str:
        """The header as a sentence names it: `Quantity (数量)`."""
        chinese = next((header for header in self.headers if not header.isascii()), "")
        label = str(self.label)
        return f"{label} ({chinese})" if chinese and chinese != label else label


class OptionsForm(forms.Form):
    """What a resource asks beside the file. `stored()` is what the run keeps."""

    def __init__(self, *args: Any, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by

    def stored(self) -> dict[str, Any]:
        return {}


@dataclass
class Planned:
    """One thing that the import makes or changes, as the plan shows it.

    `row` is where it begins, `details` say what was understood, `seen` is the version of what it changes. Once it is applied,
    `address` ("app.model:pk") and `name` are known, `after` is the version that it left, and `undo` what taking it back needs.
    """

    row: int
    action: str  # create, update, same
    what: str
    label: str
    details: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    seen: int | None = None
    address: str = ""
    name: str = ""
    after: int | None = None
    undo: dict[str, Any] = field(default_factory=dict)
    change: Any = None  # what a resource that writes in sets hands from reading to writing

    @property
    def promise(self) -> tuple:
        """What applying has to do again, exactly, to be what the plan said."""
        return (self.action, self.what, self.label, self.details, self.counts, self.seen)


@dataclass
class Outcome:
    """What importing one thing did: `planned` is None where it could not be done."""

    planned: Planned | None
    remarks: list[Remark]
    understood: dict[int, dict[str, str]]

    @property
    def has_errors(self) -> bool:
        return any(remark.level == "error" for remark in self.remarks)


class ServiceResource(Resource):
    """Reads rows for one model. Subclasses declare Columns and `store`; `finish` follows the last row.

    `by` is who imports; `run` is the ImportRun that signs every change; `options` is what its form stored.
    Rows are matched by natural key inside `visible_to(by)`: an id is never a column, a status never importable.
    """

    permission = ""
    sheet_names: tuple[str, ...] = ()
    options_form: type[OptionsForm] | None = None
    in_sets = False  # things are read, then checked together (`check`), then written together (`write`), instead of by `store`

    class Meta:
        instance_loader_class = BaseInstanceLoader  # `find` looks rows up
        skip_diff = True  # the plan says what changes

    def __init__(self, *, by: Any, run: Any, options: dict[str, Any]) -> None:
        super().__init__()
        self.by, self.run, self.options = by, run, options
        self.row_number = 0
        self._reads: dict[tuple[str, type, Any], tuple[Any, str, str] | InvalidInput] = {}
        self.begin()

    def begin(self) -> None:
        """Forget the thing before."""
        self.plan: list[Planned] = []
        self.remarks: list[Remark] = []
        self.understood: dict[int, dict[str, str]] = {}
        self._problems_at: Counter[int] = Counter()

    def renew(self, run: Any) -> None:
        """Go on with a later part of the same run: whoever imports was read anew, and nothing read before is trusted."""
        self.by, self.run = run.owner, run
        self._reads.clear()

    @classmethod
    def columns(cls) -> dict[str, Column]:
        return cls.fields

    @classmethod
    def headers(cls) -> dict[str, str]:
        """Normal form of every header -> column."""
        return {
            normal(header): name
            for name, column in cls.columns().items()
            for header in (name, str(column.label), english(column.label), *column.headers)
        }

    @classmethod
    def required(cls) -> list[str]:
        return [name for name, column in cls.columns().items() if column.required]

    @classmethod
    def table_of(cls, sheet: Sheet) -> Table | list[str]:
        """The sheet as this resource reads it, or the names of the columns that are missing."""
        return read_table(sheet, cls.headers(), cls.required())

    @classmethod
    def fit(cls, sheet: Sheet) -> int:
        """How many of the resource's columns the sheet has; a sheet that bears the resource's name wins over its equals."""
        return len(find_header(sheet, cls.headers())[1]) + 100 * (normal(sheet.name) in {normal(name) for name in cls.sheet_names})

    # What subclasses say.

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        """Load what the rows refer to, and lock what they may change, in a number of queries that does not grow with them."""

    def unit_of(self, row: dict[str, Any]) -> Any:
        """Rows with the same answer are one thing, written together or not at all. After `prepare`."""
        return row[ROW]

    def find(self, row: dict[str, Any]) -> Any:
        """The object that the row is about, inside what `by` may see, or None for a new one."""
        return None

    def store(self, instance: Any, *, is_new: bool) -> None:
        """Save through the service. A RuleError becomes the row's problem."""
        raise NotImplementedError

    def finish(self) -> None:
        """What can only be done after the last row of the thing."""

    def check(self, outcomes: Sequence[Outcome], *, writing: bool) -> None:
        """Find out which of the things that were read cannot be written, and `drop` those. Leaves nothing behind in the database.

        `writing`: they are written next, so that nothing has to be tried out.
        """

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write the things that were read and checked. Raises what the services do; the caller takes everything back then."""
        raise NotImplementedError

    def take_back(self, row: Any) -> None:
        """Undo what the applied row did. Raises RuleError with the reason where something depends on it, or changed since."""
        raise NotImplementedError

    # What subclasses use.

    def problem(
        self, message: Any, *, row: int | None = None, column: str = "", value: Any = "", level: str = "error", nearest: str = ""
    ) -> None:
        """Remember something about a row; an error keeps the whole thing that the row belongs to out."""
        row = row or self.row_number
        if level == "error":
            self._problems_at[row] += 1
        label = str(self.columns()[column].label) if column in self.columns() else column
        got = "" if value in (None, "") else shown(value)
        self.remarks.append(Remark(str(message), row, label, got, level, column if label != column else "", nearest))

    def is_good(self, rows: Iterable[int]) -> bool:
        return not any(self._problems_at[row] for row in rows)

    def signing(self, row: int) -> Any:
        """Sign every change inside as done by this import's row."""
        return signed(source="import", actor=self.by, import_run=self.run.pk, import_row=row, reason=f"import {self.run.pk}, row {row}")

    def refused(self, error: RuleError | PermissionDenied, row: int, cells: dict[str, Any] | None = None) -> None:
        """A service's refusal as problems of the row."""
        for one in error.problems if isinstance(error, InvalidInput) else [error]:
            column = getattr(one, "field", "")
            self.problem(str(one), row=row, column=column, value=(cells or {}).get(column, ""), nearest=_nearest(one))

    def drop(self, outcome: Outcome, error: RuleError | PermissionDenied) -> None:
        """A service's refusal of a whole thing, after it was read."""
        row, self.remarks = outcome.planned.row, outcome.remarks
        self.refused(error, row)
        outcome.planned = None

    # How import-export is driven.

    def read_units(self, units: Iterable[Sequence[dict[str, Any]]], *, writing: bool) -> list[Outcome]:
        """Read and check the rows of things, without import-export's own loop: it saves row by row. Writes nothing."""
        outcomes = []
        for rows in units:
            self.begin()
            for row in rows:
                self.before_import_row(row)
                self.import_instance(self.init_instance(row), row)
            self.finish()
            outcomes.append(Outcome(self.plan[0] if self.plan else None, self.remarks, self.understood))
        self.check([one for one in outcomes if one.planned and not one.has_errors], writing=writing)
        return outcomes

    def run_unit(self, rows: Sequence[dict[str, Any]]) -> Outcome:
        """Import the rows of one thing. Whether it stays is for the caller's transaction; nothing is raised for problems."""
        self.begin()
        headers = [*self.columns(), ROW, SPOILT]
        result = self.import_data(Dataset(*([row.get(name) for name in headers] for row in rows), headers=headers), use_transactions=False)
        self._reraise(result)
        return Outcome(self.plan[0] if self.plan else None, self.remarks, self.understood)

    def _reraise(self, result: Result) -> None:
        """import-export collects every exception; a bug has to fly."""
        for error in [*result.base_errors, *(error for row in result.error_rows for error in row.errors)]:
            raise error.error

    def after_import(self, dataset: Any, result: Result, **kwargs: Any) -> None:
        self.finish()

    def before_import_row(self, row: dict[str, Any], **kwargs: Any) -> None:
        self.row_number, self.cells = row[ROW], row

    def get_instance(self, instance_loader: Any, row: dict[str, Any]) -> Any:
        return self.find(row)

    def import_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        """Read every cell into `instance` and remember each one that cannot be read."""
        if row[SPOILT]:
            self.problem(row[SPOILT])
            return
        for name, column in self.columns().items():
            value = row.get(name)
            if is_blank(value):
                if column.required:
                    error = self.when_blank(name, row)
                    self.problem(error, column=name, value=value, nearest=_nearest(error))
                continue
            key = (name, type(value), value)
            if key not in self._reads:  # the same few customers, products and days stand in most rows
                self._reads[key] = self._read(name, column, value)
            found = self._reads[key]
            if isinstance(found, InvalidInput):
                self.problem(found, column=name, value=value, nearest=_nearest(found))
                continue
            read, words, told = found
            setattr(instance, column.attribute, read)
            self.understood.setdefault(self.row_number, {})[name] = words
            if told:
                self.problem(told, column=name, value=value, level=UNDERSTOOD)

    def _read(self, name: str, column: Column, value: Any) -> tuple[Any, str, str] | InvalidInput:
        """What a cell says, in words too, and how an unusual way to write it was understood; or why it cannot be read."""
        if isinstance(value, Broken):
            told = _("The cell holds %(got)s, but not its result. Open the file in a spreadsheet, save it, and upload it again.")
            return InvalidInput(told % {"got": shown(value)}, code="formula")
        try:
            read = column.read(self, value)
        except InvalidInput as error:
            return error
        told = ""
        if column.tell and isinstance(value, str) and not _reads_itself(value):
            told = _("%(got)s is read as %(value)s.") % {"got": shown(value), "value": read}
        return read, in_words(read), told

    def when_blank(self, name: str, row: dict[str, Any]) -> InvalidInput:
        """What to say about a needed cell that is blank."""
        return InvalidInput(_("The cell is blank. Fill in: %(column)s.") % {"column": self.columns()[name].label}, code="blank")

    def validate_instance(self, instance: Any, import_validation_errors: Any = None, validate_unique: bool = True) -> None:
        if not self.is_good([self.row_number]):
            raise ValidationError(_("The row has problems."))

    def save_instance(self, instance: Any, is_create: bool, row: dict[str, Any], **kwargs: Any) -> None:
        with self.signing(self.row_number):
            try:
                self.store(instance, is_new=is_create)
            except (RuleError, PermissionDenied) as error:
                self.refused(error, self.row_number, row)


def _nearest(error: Exception) -> str:
    """The valid value that the error names as the one that was probably meant."""
    return str(getattr(error, "extra", {}).get("nearest", ""))


def in_words(value: Any) -> str:
    """A value as it was understood."""
    if isinstance(value, list | tuple):
        return " > ".join(map(str, value)) if isinstance(value, list) else "+".join(part for part in value if part)
    return str(getattr(value, "label", value))


def _reads_itself(value: str) -> bool:
    """Plain digits, points and slashes need no explanation."""
    return all(character in "0123456789-./ " for character in value)
