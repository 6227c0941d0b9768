"""Tables out: xlsx and csv that no spreadsheet runs as formulas, and json, from a list with its filters, for those who may."""

import csv
import io
import json
import logging
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from apps.core.reading import FORMULA_STARTS

log = logging.getLogger("docket.export")
MOST_ROWS = 100_000
FORMATS = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
_DANGEROUS = re.compile(rf"'*[{re.escape(FORMULA_STARTS)}]")


def safe(value: Any) -> Any:
    """The value as a cell may hold it: numbers and days stay what they are; text that a spreadsheet would run gets a `'` before it.

    `core.reading.read_text` takes the quote off again, so that what is exported comes back as it was.
    """
    if value is None or isinstance(value, bool):
        return "" if value is None else _("yes") if value else _("no")
    if isinstance(value, datetime):
        return timezone.localtime(value).replace(tzinfo=None, microsecond=0) if timezone.is_aware(value) else value
    if isinstance(value, int | float | Decimal | date):
        return value
    text = str(value)
    if _DANGEROUS.match(text):
        text = f"'{text}"
    return ILLEGAL_CHARACTERS_RE.sub("\ufffd", text)


def as_csv(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of a csv that a spreadsheet reads as UTF-8, one at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield "\ufeff"
    for row in rows:
        writer.writerow([safe(value) for value in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def as_json(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A list of objects whose names are the header's, one at a time. Programs run no formulas: texts stay as they are."""
    rows = iter(rows)
    header, separator = next(rows), "[\n"
    for row in rows:
        yield separator + json.dumps(dict(zip(header, map(_for_programs, row), strict=True)), ensure_ascii=False, cls=DjangoJSONEncoder)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _for_programs(value: Any) -> Any:
    if isinstance(value, datetime):
        return timezone.localtime(value) if timezone.is_aware(value) else value
    return value if isinstance(value, str | int | float | Decimal | date | None) else str(value)


def as_xlsx(rows: Iterable[Sequence[Any]]) -> Any:
    """An open temporary file with one sheet. Rows are written as they come."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        sheet.append([safe(value) for value in row])
    stream = tempfile.TemporaryFile()  # noqa: SIM115  (the response closes it)
    book.save(stream)
    stream.seek(0)
    return stream


class Exportable:
    """Mixed into an admin before ScopedAdmin: the list, as it is filtered and ordered, as a file, for who has the export permission.

    `export_columns` are names of fields, paths (`customer__name`) or methods of the admin. `import_resource` names what the import
    offers for this list. Both show as links above the list.
    """

    export_columns: Sequence[str] = ()
    export_prefetch: Sequence[str] = ()  # what methods among the columns read
    import_resource = ""

    def get_urls(self) -> list:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [path("export/", self.admin_site.admin_view(require_GET(self.export_view)), name=name), *super().get_urls()]

    def has_export_permission(self, request: HttpRequest) -> bool:
        permission = f"{self.opts.app_label}.export_{self.opts.model_name}"
        return self.has_view_permission(request) and request.user.has_perm(permission)

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        return super().changelist_view(request, {"table_links": self.table_links(request), **(extra_context or {})})

    def table_links(self, request: HttpRequest) -> list[dict[str, str]]:
        """Import and export, as far as the user may."""
        links = []
        if self.import_resource and request.user.has_perm(f"{self.opts.app_label}.import_{self.opts.model_name}"):
            address = f"{reverse('admin:imports_upload')}?resource={self.import_resource}"
            links.append({"label": _("Import"), "icon": "upload_file", "url": address})
        if self.has_export_permission(request):
            query = request.GET.copy()
            for name in FORMATS:
                query["format"] = name
                address = f"{reverse(f'admin:{self.opts.app_label}_{self.opts.model_name}_export')}?{query.urlencode()}"
                links.append({"label": _("Export %(format)s") % {"format": name}, "icon": "download", "url": address})
        return links

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """The rows of the list that the same address without `export/` shows, all pages of it."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        query = request.GET.copy()
        chosen = query.pop("format", ["xlsx"])[-1]
        if chosen not in FORMATS:
            raise Http404
        request.GET = query
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
            count = rows.count()
        except (IncorrectLookupParameters, OverflowError, DataError) as error:
            raise Http404 from error
        if count > MOST_ROWS:
            message = _("The list has %(count)s rows; at most %(most)s are exported. Set a filter first.")
            return HttpResponse(message % {"count": count, "most": MOST_ROWS}, status=413, content_type="text/plain; charset=utf-8")
        log.info("%s exports %s rows of %s as %s", request.user.get_username(), count, self.opts.label_lower, chosen)
        name = f"{self.opts.model_name}-{timezone.localtime():%Y%m%d-%H%M}.{chosen}"
        table = self.export_rows(rows)
        if chosen == "xlsx":
            return FileResponse(as_xlsx(table), as_attachment=True, filename=name, content_type=FORMATS[chosen])
        # Whole before the answer begins: a stream that dies in the middle looks like a whole file.
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        text = as_json(table) if chosen == "json" else as_csv(table)
        return HttpResponse("".join(text), content_type=FORMATS[chosen], headers=headers)

    def export_rows(self, rows: QuerySet[Model]) -> Iterator[list[Any]]:
        """The header, then one list of values for each row, read from the database in parts. As many queries as there are parts."""
        yield [self._export_header(name) for name in self.export_columns]
        rows = rows.select_related(*filter(None, map(self._relation_of, self.export_columns))).prefetch_related(*self.export_prefetch)
        for row in rows.iterator(chunk_size=1000):
            yield [self._export_value(row, name) for name in self.export_columns]

    def _relation_of(self, name: str) -> str:
        """The relation that a column needs loaded: `order` for `order__number`, `step__process` for itself."""
        if hasattr(self, name):
            return ""
        model, relation = self.model, []
        for part in name.split("__"):
            field = model._meta.get_field(part)
            if field.is_relation:
                relation.append(part)
                model = field.related_model
        return "__".join(relation)

    def _export_header(self, name: str) -> str:
        method = getattr(self, name, None)
        if callable(method):
            return str(getattr(method, "short_description", name))
        first, _path, last = name.partition("__")
        field = self.opts.get_field(first)
        if not last or last in ("name", "username"):
            return str(field.verbose_name)
        return f"{field.verbose_name} {field.related_model._meta.get_field(last).verbose_name}"

    def _export_value(self, row: Any, name: str) -> Any:
        method = getattr(self, name, None)
        if callable(method):
            return method(row)
        *parts, last = name.split("__")
        for part in parts:
            row = getattr(row, part, None)
        display = getattr(row, f"get_{last}_display", None)
        value = display() if display else getattr(row, last, None)
        return value() if callable(value) else value
