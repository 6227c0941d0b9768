"""The base of every admin page: what is out of sight is absent, a stale save is refused, verbs are buttons."""

import uuid
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import FieldDoesNotExist, PermissionDenied, ValidationError
from django.db import DataError, IntegrityError, models, router, transaction
from django.db.models.deletion import Collector, ProtectedError, RestrictedError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from apps.core.changes import difference, history_of, shown, told_fields
from apps.core.context import acting
from apps.core.errors import RuleError
from apps.core.forms import DialogForm, GuardedForm, OptionalReasonForm, ReasonForm, SaneKeys, could_be_key
from apps.core.lists import ScopedList, check_box
from apps.core.models import Versioned
from apps.core.querysets import ScopedQuerySet
from apps.core.verbs import AlreadyDone, BulkVerb, Secret, Verb, VerbsMixin, spend

__all__ = [
    "BulkVerb",
    "DialogForm",
    "OptionalReasonForm",
    "ReasonForm",
    "ScopedAdmin",
    "ScopedFilter",
    "ScopedInline",
    "Secret",
    "Verb",
]

# How a declared list filter may ask its field.
ASKED = frozenset(
    {
        "exact",
        "in",
        "isnull",
        "gt",
        "gte",
        "lt",
        "lte",
        "icontains",
        "id__exact",
        "id__in",
        "id__isnull",
        "pk__exact",
        "pk__in",
        "code__exact",
    }
)
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
SMALL = (models.SmallIntegerField, models.PositiveSmallIntegerField)
LARGEST_SMALL, LARGEST = 2**15 - 1, 2**31 - 1
# What a number or a day past every column, or a NUL, comes to in the databases.
UNREADABLE = (OverflowError, DataError)


def in_sight(model: type[models.Model], user: Any) -> models.QuerySet:
    """The rows of `model` that `user` may see; all rows of a model that has no scope."""
    rows = model._default_manager.all()
    return rows.visible_to(user) if isinstance(rows, ScopedQuerySet) else rows


class ScopedChoices:
    """Foreign keys and many-to-many fields offer, and accept, only what the user sees; numbers end where their columns end."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, models.IntegerField):
            # SQLite's columns would take more than PostgreSQL's.
            kwargs.setdefault("max_value", LARGEST_SMALL if isinstance(db_field, SMALL) else LARGEST)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> models.QuerySet:
        rows = in_sight(db_field.remote_field.model, request.user)
        ordered = super().get_field_queryset(db, db_field, request)
        return rows if ordered is None else rows.order_by(*ordered.query.order_by)


class ScopedFilter(RelatedDropdownFilter):
    """A filter by a relation that lists only what the user sees."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        rows = in_sight(field.remote_field.model, request.user)
        ordering = self.field_admin_ordering(field, request, model_admin)
        return [(row.pk, str(row)) for row in (rows.order_by(*ordering) if ordering else rows)[:1000]]


class ScopedInline(ScopedChoices, TabularInline):
    """Rows of the parent, as a table. What is out of sight is neither shown nor reachable by a forged id."""

    extra = 0
    max_num = 500

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        form = kwargs.get("form", self.form)
        # Django would build and draw a thousand forms more for whoever says that he sends as many.
        guards = {"form": type(form.__name__, (SaneKeys, form), {}), "absolute_max": self.max_num}
        return super().get_formset(request, obj, **kwargs | guards)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        rows = super().get_queryset(request)
        return rows.visible_to(request.user) if isinstance(rows, ScopedQuerySet) else rows


class ScopedAdmin(ScopedChoices, VerbsMixin, SimpleHistoryAdmin, ModelAdmin):
    """Every admin of ours. Subclasses may hand rows to services in `save_model`, `save_related` and `delete_model`:
    a RuleError raised there is shown on the form, with what was typed, and nothing is saved.
    """

    view_on_site = False
    list_per_page = 25
    list_max_show_all = 200
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # counts of every choice would cost a walk through the table
    list_filter_submit = True
    list_fullwidth = True
    warn_unsaved_form = True
    change_form_template = "docket/change_form.html"
    change_list_template = "docket/change_list.html"
    object_history_template = "docket/history.html"
    object_history_form_template = "docket/history_version.html"
    history_list_per_page = 50
    quick_links: Sequence[tuple[Any, str]] = ()

    # -- who sees what

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        rows = super().get_queryset(request)
        return rows.visible_to(request.user) if isinstance(rows, ScopedQuerySet) else rows

    def is_in_sight(self, request: HttpRequest, obj: Any) -> bool:
        """Whether the user sees the row; `obj` is the row or its pk. One query a row and request."""
        seen = request.__dict__.setdefault("_in_sight", {})
        key = (self.model, str(getattr(obj, "pk", obj)))
        if key not in seen:
            try:
                seen[key] = in_sight(self.model, request.user).filter(pk=key[1]).exists()
            except (ValueError, ValidationError, OverflowError):
                seen[key] = False
        return seen[key]

    def _allows(self, request: HttpRequest, by_role: bool, obj: Any) -> bool:
        return by_role and (obj is None or getattr(obj, "pk", obj) is None or self.is_in_sight(request, obj))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, super().has_view_permission(request), obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, super().has_change_permission(request), obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, super().has_delete_permission(request), obj)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row, if it is in sight; locked when the request writes, so that no other save slips between check and save."""
        field = self.opts.pk if from_field is None else self.opts.get_field(from_field)
        try:
            wanted = {field.name: field.to_python(object_id)}
            if request.method in WRITES and transaction.get_connection(router.db_for_write(self.model)).in_atomic_block:
                # The plain row is locked: a list's queryset may count and group, which no database locks.
                in_sight(self.model, request.user).order_by().select_for_update(of=("self",)).get(**wanted)
            obj = self.get_queryset(request).get(**wanted)
        except (self.model.DoesNotExist, ValidationError, ValueError, OverflowError):
            return None
        request.__dict__.setdefault("_in_sight", {})[(self.model, str(obj.pk))] = True
        return obj

    def _require_sight(self, request: HttpRequest, object_id: str | None) -> None:
        """404 for a row out of sight, before anything asks what the reader may do with it."""
        if object_id is not None and self.has_view_permission(request) and not self.is_in_sight(request, unquote(object_id)):
            raise Http404

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        raise Http404

    # -- lists

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ScopedList]:
        return ScopedList

    @display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: Any) -> str:
        return check_box(obj.pk)

    def get_search_results(self, request: HttpRequest, queryset: models.QuerySet, search_term: str) -> tuple[models.QuerySet, bool]:
        """No row has a NUL in it, and no database likes to be asked."""
        return super().get_search_results(request, queryset, search_term) if "\0" not in search_term else (queryset.none(), False)

    def get_list_filter(self, request: HttpRequest) -> Sequence[Any]:
        """Relations are always filtered by a list of what the user sees."""
        return [
            (item, ScopedFilter) if isinstance(item, str) and self._is_relation(item) else item for item in super().get_list_filter(request)
        ]

    def _is_relation(self, path: str) -> bool:
        model, field = self.model, None
        for name in path.split("__"):
            try:
                field = model._meta.get_field(name)
            except FieldDoesNotExist:
                return False
            model = field.related_model
        return bool(field and field.is_relation)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Only what a declared filter asks: any other lookup would tell about columns that no page shows."""
        return any(lookup in names for names in self._declared_lookups(request))

    def _declared_lookups(self, request: HttpRequest) -> Iterator[set[str]]:
        for item in self.get_list_filter(request):
            path = item if isinstance(item, str) else item[0] if isinstance(item, (tuple, list)) else item.parameter_name
            yield {
                path,
                *(f"{path}__{asked}" for asked in ASKED),
                *(f"{path}_{end}{part}" for end in ("from", "to") for part in ("", "_0", "_1")),
            }
        if self.date_hierarchy:
            yield {f"{self.date_hierarchy}__{part}" for part in ("year", "month", "day", "gte", "lt")}

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """Besides the list, the links that people use as saved filters."""
        here = {key: value for key, value in request.GET.items() if key != "p"}
        links = [{"label": label, "query": query, "active": here == _parsed(query)} for label, query in self.get_quick_links(request)]
        try:
            response = self._finished(super().changelist_view(request, {"quick_links": links, **(extra_context or {})}))
        except UNREADABLE:
            response = HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        if response.get("Location", "") == f"{request.path}?{ERROR_FLAG}=1":
            self.message_user(request, _("The filter in this address cannot be read. This is the whole list."), "WARNING")
        return response

    def get_quick_links(self, request: HttpRequest) -> Sequence[tuple[Any, str]]:
        """(label, query string) of the filters that this user needs most."""
        return self.quick_links

    # -- forms

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        base = kwargs.get("form") or (getattr(self, "add_form", None) if obj is None else None) or self.form
        hidden = {name: None for name in self.get_readonly_fields(request, obj) if name in getattr(base, "declared_fields", {})}
        guards = {"refusal": getattr(request, "refusal", None), "parts": self._parts(request, obj), **hidden}
        kwargs["form"] = type(base.__name__, (GuardedForm, base), guards)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address proposes, without keys that no row can have."""
        proposed = super().get_changeform_initial_data(request)
        keys = {name: value if isinstance(value, list) else [value] for name, value in proposed.items() if self._is_relation(name)}
        return {name: value for name, value in proposed.items() if all(map(could_be_key, keys.get(name, ())))}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        return [name for name in super().get_fields(request, obj) if name != "version"]

    def _parts(self, request: HttpRequest, obj: Any) -> list[Any]:
        """The foreign keys of tracked rows that are edited together with the object."""
        from django.forms.models import _get_foreign_key

        tracked = [inline for inline in self.get_inlines(request, obj) if history_of(inline.model) is not None]
        return [_get_foreign_key(self.model, inline.model, fk_name=inline.fk_name) for inline in tracked]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """One signed transaction; a refusal rolls it back and shows the form again, with what was typed."""
        if request.method not in WRITES:
            return super().changeform_view(request, object_id, form_url, extra_context)
        self._require_sight(request, object_id)
        try:
            with acting(request.user):
                return self._finished(super().changeform_view(request, object_id, form_url, extra_context))
        except AlreadyDone:
            self.message_user(request, _("This form was saved already. To add another one, open a new form."), "WARNING")
            return self._go(request, reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))
        except RuleError as refusal:
            request.refusal = refusal
        except IntegrityError:
            request.refusal = RuleError(_("Somebody saved the same at the same moment. Look at the entries and save again."), code="race")
        with acting(request.user):
            return self._finished(super().changeform_view(request, object_id, form_url, extra_context))

    def _finished(self, response: HttpResponse) -> HttpResponse:
        """Render inside the transaction that read the rows."""
        return response.render() if isinstance(response, TemplateResponse) else response

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """A double click adds one row: the second save finds the form's `once` spent, and is rolled back."""
        spend(request.user, _uuid(request.POST.get("once", "")))
        return super().response_add(request, obj, post_url_continue)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save what changed. An untouched row keeps its version and gets no history row, unless its parts changed."""
        if not change or form.has_changed():
            super().save_model(request, obj, form, change)
            request.saved_parent = True

    def save_related(self, request: HttpRequest, form: Any, formsets: list, change: bool) -> None:
        """Parts grow the version of the whole, so that a stale form of either is noticed."""
        super().save_related(request, form, formsets, change)
        untouched = not getattr(request, "saved_parent", False) and isinstance(form.instance, Versioned)
        if change and untouched and any(formset.has_changed() for formset in formsets):
            form.instance.save()

    def render_change_form(self, request: HttpRequest, context: dict, *args: Any, obj: Any = None, **kwargs: Any) -> HttpResponse:
        context["show_history"] = history_of(self.model) is not None
        if obj is None:
            context["once"] = _uuid(request.POST.get("once", "")) or uuid.uuid4()
        else:
            context["buttons"] = self.buttons(request, obj)
            context["row_version"] = getattr(obj, "version", None)
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    # The history tables tell who changed what; Django's second log of the same would only disagree with them.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        return None

    # -- deleting

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self._require_sight(request, object_id)
        if request.method not in WRITES:
            return super().delete_view(request, object_id, extra_context)
        try:
            with acting(request.user):
                return self._finished(super().delete_view(request, object_id, extra_context))
        except RuleError as refusal:
            error = str(refusal)
        except (ProtectedError, RestrictedError, IntegrityError):
            error = _("Other rows use it. It cannot be deleted.")
        self.message_user(request, error, "ERROR")
        return self._go(request, self.object_url(unquote(object_id)))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list, dict, set, list]:
        """What goes with the objects, as counts: rows that hang on them may be out of the user's sight, so none is named."""
        collector = Collector(using=router.db_for_write(self.model))
        protected, counts = [], {}
        try:
            collector.collect(objs)
        except (ProtectedError, RestrictedError) as error:
            rows = getattr(error, "protected_objects", None) or getattr(error, "restricted_objects", ())
            protected = [ngettext("%(count)s row uses it.", "%(count)s rows use it.", len(rows)) % {"count": len(rows)}]
        found = [(model, len(rows)) for model, rows in collector.data.items()]
        for model, number in found + [(rows.model, rows.count()) for rows in collector.fast_deletes]:
            if number and not model._meta.auto_created:  # the links of many to many are no rows to anybody
                counts[model._meta.verbose_name_plural] = counts.get(model._meta.verbose_name_plural, 0) + number
        return [str(obj) for obj in objs], counts, set(), protected

    # -- history

    def sees_deleted(self, request: HttpRequest) -> bool:
        """Whether the user may read the history of rows that are gone."""
        return request.user.has_perm("accounts.view_deleted")

    def _row_with_history(self, request: HttpRequest, object_id: str) -> Any:
        """The row, or for those who may see it the last state of a deleted one. Out of sight: 404."""
        history = history_of(self.model)
        if history is None:
            raise Http404
        if not self.has_view_permission(request):
            raise PermissionDenied
        obj = self.get_object(request, object_id)
        if obj is not None:
            return obj
        if self.sees_deleted(request):
            try:
                pk = self.opts.pk.to_python(object_id)
                last = history.filter(**{self.opts.pk.attname: pk}).order_by("-history_id").first()
                if last is not None and not self.model._default_manager.filter(pk=pk).exists():
                    request.__dict__.setdefault("_in_sight", {})[(self.model, str(pk))] = True
                    return last.instance
            except (ValidationError, OverflowError):
                raise Http404 from None
        raise Http404

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        self._row_with_history(request, unquote(object_id))
        return super().history_view(request, object_id, extra_context)

    def set_history_delta_changes(self, request: HttpRequest, historical_records: Any, foreign_keys_are_objs: bool = True) -> None:
        rows = list(historical_records)
        for newer, older in pairwise(rows):
            newer.told = difference(older, newer)
        if rows and rows[-1].history_type == "~" and (before := rows[-1].prev_record):
            rows[-1].told = difference(before, rows[-1])

    def history_form_view(self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None) -> HttpResponse:
        """One version, to read. The package's page saves on POST: this one has no form."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        obj = self._row_with_history(request, unquote(object_id))
        try:
            row = history_of(self.model).select_related("history_user").get(**{self.opts.pk.attname: obj.pk, "history_id": version_id})
        except (ValueError, OverflowError, history_of(self.model).model.DoesNotExist):
            raise Http404 from None
        before = row.prev_record
        changed = {field for field, _old, _new in difference(before, row)} if before else set()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Version of %(when)s") % {"when": row.history_date.strftime("%Y-%m-%d %H:%M")},
            "subtitle": str(obj), "opts": self.opts, "object": obj, "record": row,
            "values": [(str(field.verbose_name), shown(row, field), str(field.verbose_name) in changed) for field in told_fields(row)],
            "history_url": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_history", args=[quote(obj.pk)]),
            **(extra_context or {}),
        }  # fmt: skip
        return self.render_history_view(request, self.object_history_form_template, context)


class VerbsOnlyAdmin(ScopedAdmin):
    """Rows to read, and to move by verbs: no form adds, changes or deletes one."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _parsed(query: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in query.split("&") if "=" in part)
