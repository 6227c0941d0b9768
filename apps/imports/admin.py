"""Pages of imports: upload, the plan, apply, and the list of one's own runs."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from apps.core.admin import ScopedAdmin
from apps.core.errors import RuleError
from apps.core.forms import tell
from apps.imports.forms import UploadForm, options_forms
from apps.imports.models import ImportRun, ImportState
from apps.imports.registry import KINDS, Kind, kinds_for
from apps.imports.services import apply_import, plan_import, totals

SHOWN = 500  # rows of a plan on one page
STATES = {ImportState.PLANNED: "info", ImportState.FAULTY: "danger", ImportState.APPLIED: "success"}


@admin.register(ImportRun)
class ImportRunAdmin(ScopedAdmin):
    """Runs are made by uploading and changed by applying: no form writes one."""

    list_display = ("title", "what", "state_label", "rows_total", "rows_planned", "created_at", "applied_at")
    list_display_links = ("title",)
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields = ("file_name",)
    ordering = ("-pk",)
    actions = ()
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
            *super().get_urls(),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return next(kinds_for(request.user), None) is not None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("import"), ordering="pk")
    def title(self, run: ImportRun) -> str:
        return str(run)

    @display(description=_("what"))
    def what(self, run: ImportRun) -> str:
        return str(KINDS[run.resource].label) if run.resource in KINDS else run.resource

    @display(description=_("state"), ordering="state", label=STATES)
    def state_label(self, run: ImportRun) -> tuple[str, str]:
        return run.state, run.get_state_display()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:imports_upload"))

    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the file, plan its import, and go to the plan."""
        offered = list(kinds_for(request.user))
        kind = self._chosen(request, offered)
        arguments = (request.POST, request.FILES) if request.method == "POST" else ()
        form, asked = UploadForm(*arguments), options_forms(kind, *arguments[:1], by=request.user)
        if request.method == "POST" and all([form.is_valid(), *(one.is_valid() for one in asked)]):
            options = {name: value for one in asked for name, value in one.stored().items()}
            try:
                run = plan_import(kind.key, form.cleaned_data["file"], by=request.user, options=options)
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
        """What the import would do or did, and what is wrong with the file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self.get_object(request, object_id)
        if run is None:
            raise Http404
        levels: dict[str, list] = {"error": [], "warning": [], "read": [], "note": []}
        for problem in run.problems:
            levels[problem["level"]].append(problem)
        context = {
            **self.admin_site.each_context(request),
            "title": str(run), "subtitle": self.what(run), "opts": self.opts, "run": run, "state_tone": STATES[ImportState(run.state)],
            "totals": totals(run), "levels": levels, "left_out": max(0, len(run.plan) - SHOWN), "again": run.resource,
            "entries": [{**entry, "url": _address(entry.get("address", ""))} for entry in run.plan[:SHOWN]],
            "may_apply": run.state == ImportState.PLANNED and run.owner_id == request.user.pk,
            "is_applied": run.state == ImportState.APPLIED,
        }  # fmt: skip
        return TemplateResponse(request, "admin/imports/plan.html", context)

    def apply_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Apply one's own plan; a second press is told that it is done already."""
        run = ImportRun.objects.visible_to(request.user).filter(pk=pk, owner=request.user).first()
        if run is None:
            raise Http404
        try:
            run = apply_import(run, by=request.user)
        except RuleError as refusal:
            level = messages.INFO if refusal.code == "already_applied" else messages.ERROR
            self.message_user(request, str(refusal), level)
        else:
            done = ngettext("Import %(run)s is applied: %(rows)s row.", "Import %(run)s is applied: %(rows)s rows.", run.rows_planned)
            self.message_user(request, done % {"run": run.pk, "rows": run.rows_planned}, messages.SUCCESS)
        return HttpResponseRedirect(self.object_url(run.pk))


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


def _address(address: str) -> str:
    """ "app.model:pk" -> the page of that object, "" where it has none."""
    label, _colon, pk = address.partition(":")
    try:
        return reverse(f"admin:{label.replace('.', '_')}_change", args=[pk]) if pk else ""
    except NoReverseMatch:
        return ""
