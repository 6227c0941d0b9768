"""Pages of imports: upload, the plan, corrections, apply, stop, take back, and the list of runs."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote_plus

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display

from apps.accounts.forms import roles_of
from apps.accounts.models import User
from apps.core.admin import ScopedAdmin, Verb, VerbsOnlyAdmin
from apps.core.errors import InvalidInput, RuleError
from apps.core.export import FORMATS
from apps.core.forms import tell
from apps.core.validation import validated
from apps.imports import exports, planpage, services
from apps.imports.badrows import as_workbook, read_back
from apps.imports.exportable import Exportable, allowed_lists, download, lists, request_of
from apps.imports.files import sheets_of
from apps.imports.forms import FROM_ITS_LIST, CorrectedForm, SavedExportForm, SaveProfileForm, UploadForm, options_forms
from apps.imports.matching import Match, propose
from apps.imports.models import (
    UNTOUCHED,
    ExportRun,
    ExportState,
    ImportProfile,
    ImportRun,
    ImportState,
    SavedExport,
)  # fmt: skip
from apps.imports.registry import KINDS, Kind, kinds_for
from apps.imports.services import Ask
from apps.imports.working import outlook

REMARKS = 500  # of each level on the page
TO_FIX = 50  # wrong rows on one page
STATES = {
    ImportState.MATCHING: "warning", ImportState.READING: "info",
    ImportState.PLANNING: "info", ImportState.PLANNED: "info", ImportState.FAULTY: "danger", ImportState.APPLYING: "info",
    ImportState.STOPPED: "warning", ImportState.PARTLY: "warning", ImportState.APPLIED: "success", ImportState.REVERTING: "info",
    ImportState.REVERTED: "plain",
}  # fmt: skip


@admin.register(ImportRun)
class ImportRunAdmin(VerbsOnlyAdmin):
    """Runs are made by uploading and changed by applying: no form writes one."""

    list_display = ("title", "what", "state_label", "rows_total", "rows_planned", "created_at", "applied_at")
    list_display_links = ("title",)
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields = ("file_name",)
    ordering = ("-pk",)
    actions = ()
    show_add_link = False  # a button with words stands above the list
    quick_links = (
        (_("To apply"), "state__exact=planned"),
        (_("With errors"), "state__exact=faulty"),
        (_("Applied"), "state__exact=applied"),
    )

    def get_urls(self) -> list:
        view = self.admin_site.admin_view
        return [
            path("upload/", view(require_http_methods(["GET", "HEAD", "POST"])(self.upload_view)), name="imports_upload"),
            path("<int:pk>/apply/", view(require_POST(self.apply_view)), name="imports_apply"),
            path("<int:pk>/stop/", view(require_POST(self.stop_view)), name="imports_stop"),
            path("<int:pk>/revert/", view(require_POST(self.revert_view)), name="imports_revert"),
            path("<int:pk>/again/", view(require_POST(self.again_view)), name="imports_again"),
            path("<int:pk>/correct/", view(require_POST(self.correct_view)), name="imports_correct"),
            path("<int:pk>/corrected/", view(require_POST(self.corrected_view)), name="imports_corrected"),
            path("<int:pk>/columns/", view(require_http_methods(["GET", "HEAD", "POST"])(self.columns_view)), name="imports_columns"),
            path("<int:pk>/rows/", view(require_GET(self.rows_view)), name="imports_rows"),
            path("<int:pk>/progress/", view(require_GET(self.progress_view)), name="imports_progress"),
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return next(kinds_for(request.user), None) is not None

    @display(description=_("import"), ordering="pk")
    def title(self, run: ImportRun) -> str:
        return str(run)

    @display(description=_("what"))
    def what(self, run: ImportRun) -> str:
        return str(KINDS[run.resource].label) if run.resource in KINDS else run.resource

    @display(description=_("state"), ordering="state", label=STATES)
    def state_label(self, run: ImportRun) -> tuple[str, str]:
        return run.state, run.get_state_display()

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        links = [{"label": gettext("Import orders or catalogue"), "icon": "upload_file", "url": reverse("admin:imports_upload")}]
        may_add = self.has_add_permission(request)
        return super().changelist_view(request, {"table_links": links if may_add else [], **(extra_context or {})})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:imports_upload"))

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the file, plan its import, and go to the plan."""
        offered = list(kinds_for(request.user))
        kind = self._chosen(request, offered)
        arguments = (request.POST, request.FILES) if request.method == "POST" else ()
        form, asked = UploadForm(*arguments, kind=kind, by=request.user), options_forms(kind, *arguments[:1], by=request.user)
        if request.method == "POST" and all([form.is_valid(), *(one.is_valid() for one in asked)]):
            options = {name: value for one in asked for name, value in one.stored().items()}
            try:
                run = services.plan_import(
                    kind.key, form.cleaned_data["file"], by=request.user, options=options, reading=form.reading(),
                    profile=form.chosen_profile(), ask=Ask.ALWAYS if form.cleaned_data["by_hand"] else Ask.NEEDED,
                    seconds=services.AT_ONCE,
                )  # fmt: skip
            except RuleError as refusal:
                tell(form, refusal)
            else:
                return HttpResponseRedirect(self.object_url(run.pk))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Import: %(what)s") % {"what": kind.label},
            "opts": self.opts, "kinds": offered, "kind": kind, "columns": _columns(kind),
            "forms": [form, *asked], "media": _media(form, *asked),
        }  # fmt: skip
        return TemplateResponse(request, "admin/imports/upload.html", context)

    def columns_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Each column of the file with what it is taken for, to be corrected and perhaps kept as a profile."""
        run = self._own(request, pk)
        if run.state != ImportState.MATCHING:
            return HttpResponseRedirect(self.object_url(run.pk))
        kind, data = KINDS.get(run.resource), request.POST if request.method == "POST" else request.GET
        if kind is None:
            raise Http404
        profile = ImportProfile.objects.visible_to(request.user).filter(pk=run.options.get("profile")).first()
        sheets = sheets_of(run)
        matches = propose(kind, sheets, profile=profile.columns if profile else None, looks=looks_of(data, kind))
        is_shared = profile is not None and profile.owner_id == request.user.pk and profile.is_shared
        form = SaveProfileForm(data) if request.method == "POST" else SaveProfileForm(initial={"is_shared": is_shared})
        if request.method == "POST":
            take_choices(data, matches)
            if form.is_valid():
                try:
                    run = services.match_columns(run, matches, by=request.user, seconds=services.AT_ONCE, **form.cleaned_data)
                except RuleError as refusal:
                    tell(form, refusal)
                else:
                    return HttpResponseRedirect(self.object_url(run.pk))
        context = {
            **self.admin_site.each_context(request), "title": planpage.title_of(run), "opts": self.opts, "run": run,
            "forms": [form], "sheets": [(at, sheet.name or gettext("the table")) for at, sheet in enumerate(sheets)],
            "matches": [(match, [(name, one.expected(), one.required) for name, one in match.resource.columns().items()])
                        for match in matches],
            "media": form.media,
        }  # fmt: skip
        return TemplateResponse(request, "admin/imports/columns.html", context)

    def _chosen(self, request: HttpRequest, offered: list[Kind]) -> Kind:
        key = request.GET.get("resource", "")
        if not offered or (key in KINDS and KINDS[key] not in offered):
            raise PermissionDenied(_("You may not import this. Ask a supervisor or a planner."))
        if key and key not in KINDS:
            raise Http404
        return KINDS[key] if key else offered[0]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return require_GET(self.plan_view)(request, object_id)

    def plan_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What the import would do or did, what is wrong with the file, and what can be done now."""
        run = self._seen(request, object_id)
        if run.state == ImportState.MATCHING and run.owner_id == request.user.pk and run.resource in KINDS:
            return HttpResponseRedirect(reverse("admin:imports_columns", args=[run.pk]))
        kind = KINDS.get(run.resource)
        levels, counts = run.told(REMARKS)
        unit = kind.resources[0]._meta.model._meta.verbose_name_plural if kind else ""
        context = {
            **self.admin_site.each_context(request),
            "title": planpage.title_of(run), "opts": self.opts, "run": run, "state_tone": STATES[ImportState(run.state)],
            "totals": services.totals(run), "figures": planpage.figures(run), "unit": unit, "levels": levels, "counts": counts,
            "again": run.resource, "outlook": outlook(run),
            "is_own": run.owner_id == request.user.pk,
            "is_untouched": run.state in UNTOUCHED, "is_reverted": run.state == ImportState.REVERTED,
            "kept": run.rows.exclude(kept_because="").leading()[:planpage.PAGE],
            **planpage.actions(run), **planpage.entries(request, run),
        }  # fmt: skip
        if context["is_own"] and kind and context["may_correct"]:
            wrong = planpage.wrong(run)
            context |= {"to_fix": [planpage.fixable(run, kind, row) for row in wrong[:TO_FIX]], "corrected_form": CorrectedForm()}
            context |= {"wrong": wrong.count(), "held": context["bad"] - wrong.count()}
        return TemplateResponse(request, "admin/imports/plan.html", context)

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far the work is, for the page that waits for it; the end of the work loads the page anew."""
        run = self._seen(request, str(pk))
        if not run.is_working:
            return HttpResponse(headers={"HX-Refresh": "true"})
        return TemplateResponse(
            request, "admin/imports/progress.html", {"run": run, "outlook": outlook(run), "is_own": run.owner_id == request.user.pk}
        )

    def _seen(self, request: HttpRequest, object_id: str) -> ImportRun:
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self.get_object(request, object_id)
        if run is None:
            raise Http404
        return run

    def _own(self, request: HttpRequest, pk: int) -> ImportRun:
        run = ImportRun.objects.visible_to(request.user).filter(pk=pk, owner=request.user).first()
        if run is None:
            raise Http404
        return run

    def _do(self, request: HttpRequest, run: ImportRun, verb: Callable[..., ImportRun], **arguments: Any) -> HttpResponse:
        """Do it, and show the page with a sentence on what came of it."""
        try:
            run = verb(run, by=request.user, **arguments)
        except RuleError as refusal:
            self.message_user(request, str(refusal), messages.INFO if refusal.code == "already_applied" else messages.ERROR)
        else:
            level, said = planpage.said(run, was_applied=verb is services.apply_import)
            self.message_user(request, said, level)
        return HttpResponseRedirect(self.object_url(run.pk))

    def apply_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Apply one's own plan; a second press is told that it is done already."""
        only_good = request.POST.get("rows") == "good"
        return self._do(request, self._own(request, pk), services.apply_import, only_good=only_good, seconds=services.AT_ONCE)

    def revert_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._do(request, self._own(request, pk), services.revert_import, seconds=services.AT_ONCE)

    def stop_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._do(request, self._own(request, pk), services.stop)

    def again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Plan anew what is not imported; or take in again, and plan, what was left out."""
        verb = services.take_in_left_out if request.POST.get("rows") == "left" else services.plan_again
        return self._do(request, self._own(request, pk), verb, seconds=services.AT_ONCE)

    def correct_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Cells that were corrected on the page."""
        run = self._own(request, pk)
        corrections = planpage.typed(run, request.POST)
        if not corrections:
            self.message_user(request, gettext("No cell was changed."), messages.INFO)
            return HttpResponseRedirect(self.object_url(run.pk))
        return self._do(request, run, services.correct_rows, corrections=corrections, seconds=services.AT_ONCE)

    def corrected_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The workbook of wrong rows, corrected."""
        run = self._own(request, pk)
        form = CorrectedForm(request.POST, request.FILES)
        try:
            if not form.is_valid():
                raise InvalidInput(" ".join(error for errors in form.errors.values() for error in errors), field="file")
            corrections = read_back(run, self._kind(run), form.cleaned_data["file"])
        except RuleError as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(self.object_url(run.pk))
        return self._do(request, run, services.correct_rows, corrections=corrections, seconds=services.AT_ONCE)

    def rows_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The rows that cannot be imported, as a workbook."""
        run = self._own(request, pk)
        name = f"import-{run.pk}-rows.xlsx"
        return FileResponse(as_workbook(run, self._kind(run)), as_attachment=True, filename=name)

    def _kind(self, run: ImportRun) -> Kind:
        kind = KINDS.get(run.resource)
        if kind is None or len(run.tables) != len(kind.resources):
            raise Http404
        return kind


@admin.register(ImportProfile)
class ImportProfileAdmin(ScopedAdmin):
    """Profiles are made on the page that asks for the columns; their owner renames, shares and deletes them."""

    list_display = ("name", "what", "owner", "is_shared")
    list_filter = (("is_shared", BooleanRadioFilter),)
    list_select_related = ("owner",)
    search_fields = ("name",)
    fields = ("name", "is_shared", "what", "owner", "told")
    readonly_fields = ("what", "owner", "told")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ImportProfile | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or self._is_own(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: ImportProfile | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or self._is_own(request, obj))

    def save_model(self, request: HttpRequest, obj: ImportProfile, form: Any, change: bool) -> None:
        validated(obj)
        super().save_model(request, obj, form, change)

    @staticmethod
    def _is_own(request: HttpRequest, obj: ImportProfile) -> bool:
        return obj.owner_id == request.user.pk or request.user.is_superuser

    def get_actions(self, request: HttpRequest) -> dict:
        """One by one: a list may hold profiles of others."""
        return {}

    @display(description=_("what"))
    def what(self, profile: ImportProfile) -> str:
        return str(KINDS[profile.resource].label) if profile.resource in KINDS else profile.resource

    @display(description=_("columns"))
    def told(self, profile: ImportProfile) -> str:
        """Each header with the column that it is read as."""
        kind, lines = KINDS.get(profile.resource), []
        for part, columns in profile.columns.items():
            known = kind.resources[int(part)].columns() if kind and int(part) < len(kind.resources) else {}
            lines += [(header, known[name].label if name in known else _("not read")) for header, name in columns.items()]
        return format_html_join("", "<p>{} → {}</p>", lines) or "–"


class PeopleAdmin(Exportable, type(admin.site.get_model_admin(User))):
    """The pages of accounts, with their table out and in. Here, because accounts stand before imports."""

    export_columns = ("username", "name", "email", "role_names", "department_codes", "led_codes", "office", "is_active")
    import_resource = "people"

    @display(description=_("Roles"))
    def role_names(self, person: User) -> str:
        return ", ".join(roles_of(person))

    @display(description=_("Departments"))
    def department_codes(self, person: User) -> str:
        return ", ".join(sorted(one.department.code for one in person.memberships.all() if not one.is_lead))

    @display(description=_("Leads"))
    def led_codes(self, person: User) -> str:
        return ", ".join(sorted(one.department.code for one in person.memberships.all() if one.is_lead))

    @display(description=_("Office pages"))
    def office(self, person: User) -> bool:
        return person.is_staff


admin.site.unregister(User)
admin.site.register(User, PeopleAdmin)


MOST_DIGITS = 5


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else None


def looks_of(data: Any, kind: Kind) -> dict[int, tuple[int, int]]:
    """Which sheet and header row the page asks for each part: {part: (sheet, row index)}."""
    looks = {}
    for part in range(len(kind.resources)):
        sheet, header = _number(data.get(f"sheet-{part}")), _number(data.get(f"header-{part}"))
        if sheet is not None and header:
            looks[part] = (sheet, header - 1)
    return looks


def take_choices(data: Any, matches: Sequence[Match]) -> None:
    """Write the form's selects into the matches; what is no column of the resource is left out."""
    for match in matches:
        for place, one in enumerate(match.columns):
            name = data.get(f"column-{match.part}-{place}")
            if name is not None:
                one["column"] = name if name in match.resource.columns() else ""


def _media(*forms: Any) -> Any:
    first, *others = (form.media for form in forms)
    return sum(others, first)


def _columns(kind: Kind) -> list[dict[str, Any]]:
    """What each resource reads, for the help beside the form."""
    return [
        {
            "what": resource._meta.model._meta.verbose_name_plural,
            "columns": [(column.expected(), column.required) for column in resource.columns().values()],
        }
        for resource in kind.resources
    ]


def _list_name(resource: str) -> str:
    its_admin = lists().get(resource)
    return str(its_admin.opts.verbose_name_plural) if its_admin else resource


@admin.register(SavedExport)
class SavedExportAdmin(ScopedAdmin):
    """One's own exports, to be had again or at an hour. Made from the list whose filter they have."""

    form = SavedExportForm
    list_display = ("name", "what", "filter_shown", "format", "every", "next_at")
    search_fields = ("name",)
    show_add_link = False
    fieldsets = (
        (None, {"fields": ("resource", "query", "name", "format", "columns")}),
        (_("By itself"), {"fields": ("every", ("weekday", "hour"))}),
    )
    verbs = (
        Verb(
            "run", _("Export now"), exports.run_saved, icon="download", variant="primary", goes_to=exports.page_of,
            text=_("The file is made in the background, with the rights that you have now."), done=_("%(object)s is being made."),
            when=lambda user, saved: saved.owner_id == user.pk,
        ),
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        """From the page of a list only, which names itself: no other page has a button for it."""
        is_named = request.method == "POST" or "resource" in request.GET
        return is_named and super().has_add_permission(request) and bool(allowed_lists(request.user))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A form that no list led to could not be saved: it is not shown."""
        if object_id is None and super().has_add_permission(request) and not self.has_add_permission(request):
            self.message_user(request, FROM_ITS_LIST, messages.WARNING)
            return HttpResponseRedirect(reverse("admin:imports_savedexport_changelist"))
        return super().changeform_view(request, object_id, form_url, {"show_save_and_add_another": False, **(extra_context or {})})

    def get_form(self, request: HttpRequest, obj: SavedExport | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        mine, asked = allowed_lists(request.user), request_of(request.user)
        form.offered = {label: [(name, one.export_header(name)) for name in one.export_names(asked)] for label, one in mine.items()}
        return form

    def save_model(self, request: HttpRequest, obj: SavedExport, form: Any, change: bool) -> None:
        exports.save(obj, by=request.user)

    @display(description=_("list"), ordering="resource")
    def what(self, saved: SavedExport) -> str:
        return _list_name(saved.resource)

    @display(description=_("filter"))
    def filter_shown(self, saved: SavedExport) -> str:
        return unquote_plus(saved.query) or "–"


def _file_of(run: ExportRun) -> FileResponse:
    headers = {"Cache-Control": "no-store"}
    return FileResponse(run.file.open("rb"), as_attachment=True, filename=run.file_name, content_type=FORMATS[run.format], headers=headers)


EXPORT_STATES = {
    ExportState.WAITING: "info", ExportState.RUNNING: "info", ExportState.DONE: "success", ExportState.FAILED: "danger",
}  # fmt: skip


@admin.register(ExportRun)
class ExportRunAdmin(VerbsOnlyAdmin):
    """One's own files of long lists and of saved exports, for the days that they are kept."""

    list_display = ("title_shown", "what", "format", "state_label", "rows_done", "created_at", "finished_at")
    list_filter = (("state", ChoicesDropdownFilter),)
    fields = ("title_shown", "what", "filter_shown", "format", "state", "rows_done", "problem", "created_at", "finished_at")
    readonly_fields = fields
    ordering = ("-pk",)
    actions = ()
    change_form_outer_before_template = "admin/imports/export.html"
    verbs = (
        Verb(
            "download", _("Download"), download, icon="download", variant="primary",
            text=_("The file holds what you were allowed to see when it was made."),
            when=lambda user, run: run.state == ExportState.DONE, answers=_file_of,
        ),
    )  # fmt: skip

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        address = reverse("admin:imports_savedexport_changelist")
        links = [{"label": gettext("Saved exports"), "icon": "bookmark", "url": address}]
        return super().changelist_view(request, {"table_links": links, **(extra_context or {})})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The page asks itself until the file is there, and loads anew then."""
        run = self.get_object(request, object_id)
        if request.headers.get("HX-Request") and run is not None and not run.is_working:
            return HttpResponse(headers={"HX-Refresh": "true"})
        return super().change_view(request, object_id, form_url, extra_context)

    @display(description=_("export"), ordering="pk")
    def title_shown(self, run: ExportRun) -> str:
        return str(run)

    @display(description=_("list"), ordering="resource")
    def what(self, run: ExportRun) -> str:
        return _list_name(run.resource)

    @display(description=_("filter"))
    def filter_shown(self, run: ExportRun) -> str:
        return unquote_plus(run.query) or "–"

    @display(description=_("state"), ordering="state", label=EXPORT_STATES)
    def state_label(self, run: ExportRun) -> tuple[str, str]:
        return run.state, run.get_state_display()
