"""Lists as files, for who may: at once where they are short, by a job where they are long, or saved to be had again."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.test import RequestFactory
from django.urls import path, reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.accounts.access import access_of
from apps.core.errors import RuleError
from apps.core.export import FORMATS, as_file
from apps.imports import exports
from apps.imports.models import ExportRun

log = logging.getLogger("docket.export")
MOST_ROWS = 100_000
AT_ONCE = 5_000  # rows that a page waits for; a longer list is a job
CHUNK = 1_000


def too_many(count: int) -> str:
    message = _("The list has %(count)s rows; at most %(most)s are exported. Set a filter first.")
    return message % {"count": count, "most": MOST_ROWS}


def lists() -> "dict[str, Exportable]":
    """Every list that can be exported, by the model's label."""
    return {one.opts.label_lower: one for one in admin.site._registry.values() if isinstance(one, Exportable)}


def allowed_lists(user: Any) -> "dict[str, Exportable]":
    """Those that `user` may export."""
    request = request_of(user)
    return {label: one for label, one in lists().items() if one.has_export_permission(request)}


def request_of(user: Any) -> HttpRequest:
    """What a list asks of a request, where there is none: who looks."""
    request = RequestFactory().get("/")
    request.user = user
    return request


def rows_for(resource: str, query: str, *, by: Any, columns: Sequence[str] = ()) -> tuple[int, Iterator[list[Any]]]:
    """How many rows the list has, and the file's rows with the header, with just the rights that `by` has now.

    Raises RuleError with a sentence where he may not, where the filter makes no sense any more, or where it is too long.
    """
    its_admin, request = lists().get(resource), request_of(by)
    if its_admin is None or not by.is_active or not its_admin.has_export_permission(request):
        raise RuleError(_("You may not export this list. Ask an administrator."), code="not_allowed")
    try:
        rows = its_admin.exported(request, QueryDict(query, mutable=True))
    except (ValueError, SuspiciousOperation) as error:
        raise RuleError(_("The filter of this export makes no sense any more. Save it anew from the list."), code="filter") from error
    count = rows.count()
    if count > MOST_ROWS:
        raise RuleError(too_many(count), code="too_long")
    names = its_admin.export_names(request, columns)
    if not names:
        raise RuleError(_("None of the chosen columns is there any more. Choose others."), code="columns")
    return count, its_admin.export_rows(rows, names)


def download(run: ExportRun, *, by: Any) -> ExportRun:
    """The run whose file `by` may have: his own, of a list that he may still export."""
    its_admin = lists().get(run.resource)
    if its_admin is None or not its_admin.has_export_permission(request_of(by)):
        raise PermissionDenied(_("You may not export this list any more. Ask an administrator."))
    return exports.download(run, by=by)


def work(run: ExportRun) -> None:
    """Make the file of a run that was claimed; what keeps it from being made is the run's own sentence."""
    with translation.override(run.language):
        try:
            count, rows = rows_for(run.resource, run.query, by=run.owner, columns=run.columns)
            exports.begin(run, count)
            with as_file(exports.counted(run, rows), run.format) as file:
                exports.finish(run, file)
        except RuleError as refusal:
            exports.fail(run, str(refusal))


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
            shown = query.urlencode()
            for name in FORMATS:
                query["format"] = name
                address = f"{reverse(f'admin:{self.opts.app_label}_{self.opts.model_name}_export')}?{query.urlencode()}"
                links.append({"label": _("Export %(format)s") % {"format": name}, "icon": "download", "url": address})
            if access_of(request.user).has("imports.add_savedexport"):
                proposed = urlencode({"resource": self.opts.label_lower, "query": shown})
                address = f"{reverse('admin:imports_savedexport_add')}?{proposed}"
                links.append({"label": _("Save as export"), "icon": "bookmark_add", "url": address})
        return links

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """The rows of the list that the same address without `export/` shows, all pages of it."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        query = request.GET.copy()
        chosen = query.pop("format", ["xlsx"])[-1]
        if chosen not in FORMATS:
            raise Http404
        try:
            rows = self.exported(request, query)
        except ValueError as error:
            raise Http404 from error
        count = rows.count()
        if count > MOST_ROWS:
            return HttpResponse(too_many(count), status=413, content_type="text/plain; charset=utf-8")
        if count > AT_ONCE:
            try:
                run = exports.start(self.opts.label_lower, query.urlencode(), chosen, by=request.user)
            except RuleError as refusal:
                self.message_user(request, str(refusal), "ERROR")
                return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))
            said = _("The list has %(count)s rows. The file is made in the background; a notice tells when it is ready.")
            self.message_user(request, said % {"count": count})
            return HttpResponseRedirect(exports.page_of(run))
        log.info("%s exports %s rows of %s as %s", request.user.get_username(), count, self.opts.label_lower, chosen)
        file = as_file(self.export_rows(rows, self.export_names(request)), chosen)
        return FileResponse(
            file, as_attachment=True, filename=exports.file_name(self.opts.model_name, chosen), content_type=FORMATS[chosen]
        )

    def exported(self, request: HttpRequest, query: QueryDict) -> QuerySet[Model]:
        """The rows that the list shows with this query string, all pages of it. Raises ValueError for one that makes no sense."""
        request.GET = query
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
            rows.exists()
        except (IncorrectLookupParameters, OverflowError, DataError) as error:
            raise ValueError(query.urlencode()) from error
        return rows

    def export_names(self, request: HttpRequest, chosen: Sequence[str] = ()) -> list[str]:
        """The columns that the user may have, in their order; of those only the `chosen` ones, if any are."""
        return [name for name in self.export_columns if not chosen or name in chosen]

    def export_records(self, row: Any) -> Iterable[Any]:
        """What of a row of the list is a row of the file. An admin whose file has one for each part overrides it."""
        return (row,)

    def export_rows(self, rows: QuerySet[Model], names: Sequence[str]) -> Iterator[list[Any]]:
        """The header, then one list of values for each row, read from the database in parts. As many queries as there are parts."""
        yield [self.export_header(name) for name in names]
        rows = rows.select_related(*filter(None, map(self._relation_of, names))).prefetch_related(*self.export_prefetch)
        for row in rows.iterator(chunk_size=CHUNK):
            for record in self.export_records(row):
                yield [self._export_value(record, name) for name in names]

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

    def export_header(self, name: str) -> str:
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
