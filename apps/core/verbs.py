"""Verbs as buttons of the admin: declared, shown when the move is open, pressed by POST only, told in a sentence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.core.context import acting
from apps.core.errors import RuleError
from apps.core.forms import DialogForm, could_be_key, tell
from apps.core.models import IdempotencyKey

MOST_AT_ONCE = 200
MOST_NAMED = 10
NOT_ALLOWED = gettext_lazy("You may not do this. Ask a supervisor.")


@dataclass(frozen=True)
class Verb:
    """A button on an object's page.

    `service` is called as service(obj, by=user, **form.arguments()) and raises RuleError or PermissionDenied with a sentence.
    `done` is said afterwards, with %(object)s. `goes_to` makes the next page's address from what the service returned.
    `when(user, obj)` says whether the button is shown, where the admin's `moves` says nothing about it; one that is not
    `in_bar` is drawn elsewhere on the page, beside what it is about. `answers` makes a file of what the service returned, once it
    is committed; the browser shows it in a page of its own. `tells` makes a Secret of it, which is shown this once.
    """

    name: str
    label: Any
    service: Callable[..., Any]
    form: type[DialogForm] = DialogForm
    icon: str = ""
    variant: str = "default"
    text: Any = ""
    done: Any = ""
    goes_to: Callable[[Any], str] | None = None
    when: Callable[[Any, Any], bool] | None = None
    in_bar: bool = True
    answers: Callable[[Any], HttpResponse] | None = None
    tells: "Callable[[HttpRequest, Any], Secret] | None" = None

    @property
    def makes_file(self) -> bool:
        return self.answers is not None


@dataclass(frozen=True)
class Secret:
    """What is shown once and kept nowhere: a token, a PIN. `picture` is a data URI of the same, to be scanned."""

    label: Any
    value: str
    text: Any
    picture: str = ""


@dataclass(frozen=True)
class BulkVerb:
    """The same for every selected row of a list: a page asks, then each object goes through the verb on its own.

    With `answers` the service gets all rows at once, and what it returned is made a file of.
    """

    name: str
    label: Any
    service: Callable[..., Any]
    form: type[DialogForm] = DialogForm
    permission: str = ""
    text: Any = ""
    answers: Callable[[Any], HttpResponse] | None = None
    most: int = MOST_AT_ONCE

    @property
    def makes_file(self) -> bool:
        return self.answers is not None


class AlreadyDone(Exception):
    """This very dialog was submitted before."""


def spend(user: Any, once: Any) -> None:
    """Mark the dialog `once` as submitted, in the transaction of its effect. Raises AlreadyDone the second time."""
    if once is None:
        return
    _row, fresh = IdempotencyKey.objects.get_or_create(
        owner=f"dialog:{user.pk}", key=str(once), defaults={"fingerprint": "", "status": 200}
    )
    if not fresh:
        raise AlreadyDone


def refusal_of(error: Exception) -> RuleError:
    """The sentence of a refused verb, whichever way it was refused."""
    return error if isinstance(error, RuleError) else RuleError(str(error) or NOT_ALLOWED, code="not_allowed")


class VerbsMixin:
    """Gives a ModelAdmin its `verbs` (buttons on the object's page) and `bulk_verbs` (actions of the list)."""

    verbs: Sequence[Verb] = ()
    bulk_verbs: Sequence[BulkVerb] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "verbs" in cls.__dict__:
            for verb in cls.verbs:
                setattr(cls, f"verb_{verb.name}", _button(verb))
            cls.actions_detail = [f"verb_{verb.name}" for verb in cls.verbs]
        if "bulk_verbs" in cls.__dict__:
            for verb in cls.bulk_verbs:
                setattr(cls, f"bulk_{verb.name}", _bulk_action(verb))
            cls.actions = [f"bulk_{verb.name}" for verb in cls.bulk_verbs]

    # -- which buttons

    def moves(self, request: HttpRequest, obj: Any) -> Iterable[str]:
        """The names of the verbs that this user may press on `obj` now."""
        return [verb.name for verb in self.verbs if verb.when is None or verb.when(request.user, obj)]

    def verb_url(self, verb: Verb | str, pk: Any) -> str:
        name = verb if isinstance(verb, str) else verb.name
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_verb_{name}", args=[quote(pk)])

    def buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        """What the page needs to draw the buttons that are open now."""
        moves = set(self.moves(request, obj))
        return [{"verb": verb, "url": self.verb_url(verb, obj.pk)} for verb in self.verbs if verb.in_bar and verb.name in moves]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list:
        """Unfold's header buttons hide on a phone: ours are drawn in the page (docket/buttons.html)."""
        return []

    # -- pressing one

    def press(self, request: HttpRequest, verb: Verb, object_id: str) -> HttpResponse:
        """Show the dialog of `verb` (GET) or do it (POST). An object out of sight reads as absent."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        obj = self.get_object(request, unquote(object_id)) or self.just_missed(request, verb, unquote(object_id))
        if obj is None:
            raise Http404
        if request.method == "POST":
            return self._do(request, verb, obj)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, POST"})
        if verb.name not in self.moves(request, obj):
            if not request.headers.get("HX-Request"):
                raise PermissionDenied
            return self._dialog(
                request, verb, obj, None, refused=_("This is not possible any more. Reload the page to see how things stand.")
            )
        return self._dialog(request, verb, obj, verb.form(request=request, obj=obj, initial=request.GET.dict()))

    def just_missed(self, request: HttpRequest, verb: Verb, pk: str) -> Any:
        """A row that left the user's sight because somebody was faster, where the verb's refusal may name him. Usually none."""
        return None

    def _do(self, request: HttpRequest, verb: Verb, obj: Any) -> HttpResponse:
        form = verb.form(request.POST, request=request, obj=obj)
        if not form.is_valid():
            return self._dialog(request, verb, obj, form, status=400)
        try:
            with acting(request.user):
                spend(request.user, form.cleaned_data.get("once"))
                result = verb.service(obj, by=request.user, **form.arguments())
        except AlreadyDone:
            return self._go(request, self._page_of(request, obj.pk))
        except IntegrityError:
            tell(form, RuleError(_("Somebody did the same at the same moment. Reload the page to see how things stand."), code="race"))
            return self._dialog(request, verb, obj, form, status=409)
        except (RuleError, PermissionDenied) as error:
            tell(form, refusal_of(error))
            return self._dialog(request, verb, obj, form, status=403 if isinstance(error, PermissionDenied) else 409)
        if verb.answers:
            return verb.answers(result)
        if verb.tells:
            return self.tell_once(request, obj, verb.tells(request, result), title=verb.label)
        messages.success(request, str(verb.done or _("%(object)s: done.")) % {"object": obj})
        return self._go(request, verb.goes_to(result) if verb.goes_to else self._page_of(request, obj.pk))

    def _dialog(self, request: HttpRequest, verb: Verb, obj: Any, form: Any, *, refused: str = "", status: int = 200) -> HttpResponse:
        fragment = bool(request.headers.get("HX-Request"))
        context = {
            **({} if fragment else self.admin_site.each_context(request)),
            "opts": self.opts, "verb": verb, "original": obj, "title": verb.label, "subtitle": str(obj), "form": form, "refused": refused,
            "back": self.object_url(obj.pk), "htmx": fragment,
        }  # fmt: skip
        # htmx shows only what is answered with 200.
        template = "docket/dialog.html" if fragment else "docket/dialog_page.html"
        return TemplateResponse(request, template, context, status=200 if fragment else status)

    def tell_once(self, request: HttpRequest, obj: Any, secret: Secret, *, title: Any) -> HttpResponse:
        """The answer that shows `secret`, in the dialog or as a page. No address shows it again, no cache keeps it."""
        fragment = bool(request.headers.get("HX-Request"))
        context = {
            **({} if fragment else self.admin_site.each_context(request)),
            "opts": self.opts, "original": obj, "title": title, "subtitle": str(obj), "secret": secret, "back": self.object_url(obj.pk),
            "htmx": fragment,
        }  # fmt: skip
        # The dialog's form swaps its fields only: here all of it gives way, or its button would do the same again.
        swap = {"HX-Retarget": "#dialog", "HX-Reselect": "#dialog", "HX-Reswap": "outerHTML"} if fragment else {}
        template = "docket/once.html" if fragment else "docket/once_page.html"
        return TemplateResponse(request, template, context, headers={"Cache-Control": "no-store", **swap})

    def object_url(self, pk: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[quote(pk)])

    def _page_of(self, request: HttpRequest, pk: Any) -> str:
        """The object's page while the user still sees it, else the list."""
        if self.get_queryset(request).filter(pk=pk).exists():
            return self.object_url(pk)
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def _go(self, request: HttpRequest, url: str) -> HttpResponse:
        if request.headers.get("HX-Request"):
            return HttpResponse(headers={"HX-Redirect": url})
        return HttpResponseRedirect(url)

    # -- many at once

    def get_actions(self, request: HttpRequest) -> dict:
        """Only our own verbs, and only those that the user's role opens. Nothing is deleted in bulk."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        for verb in self.bulk_verbs:
            if verb.permission and not request.user.has_perm(verb.permission):
                actions.pop(f"bulk_{verb.name}", None)
        return actions

    def response_action(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        """Selected keys that no row can have select nothing."""
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not all(map(could_be_key, selected)):
            request.POST = request.POST.copy()
            request.POST.setlist(ACTION_CHECKBOX_NAME, [key for key in selected if could_be_key(key)])
        return super().response_action(request, queryset)

    def do_bulk(self, request: HttpRequest, verb: BulkVerb, queryset: Any) -> HttpResponse | None:
        """Ask what the verb needs, then do it for each selected row in sight; refusals are counted and named."""
        rows = list(queryset.order_by("pk")[: verb.most + 1])
        if len(rows) > verb.most:
            messages.error(request, _("At most %(most)s rows at once. Select fewer; nothing was changed.") % {"most": verb.most})
            return None
        form = verb.form(request.POST if "apply" in request.POST else None, request=request, objects=rows)
        if "apply" not in request.POST or not form.is_valid():
            return self._ask(request, verb, rows, form)
        try:
            with acting(request.user):
                spend(request.user, form.cleaned_data.get("once"))
                result = verb.service(rows, by=request.user, **form.arguments()) if verb.answers else None
        except AlreadyDone:
            return None
        except (RuleError, PermissionDenied) as error:
            tell(form, refusal_of(error))
            return self._ask(request, verb, rows, form, status=403 if isinstance(error, PermissionDenied) else 409)
        if verb.answers:
            return verb.answers(result)
        self._apply(request, verb, rows, form.arguments())
        return None

    def _ask(self, request: HttpRequest, verb: BulkVerb, rows: list, form: Any, *, status: int = 200) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request), "opts": self.opts, "verb": verb, "title": verb.label, "form": form, "rows": rows,
            "action": f"bulk_{verb.name}", "checkbox": ACTION_CHECKBOX_NAME, "back": request.get_full_path(),
        }  # fmt: skip
        return TemplateResponse(request, "docket/bulk.html", context, status=status)

    def _apply(self, request: HttpRequest, verb: BulkVerb, rows: list, arguments: dict[str, Any]) -> None:
        done, refused = 0, []
        for row in rows:
            try:
                with acting(request.user):
                    verb.service(row, by=request.user, **arguments)
                done += 1
            except (RuleError, PermissionDenied) as error:
                refused.append(f"{row}: {refusal_of(error)}")
        asked = set(request.POST.getlist(ACTION_CHECKBOX_NAME)) if request.POST.get("select_across", "0") == "0" else set()
        gone = len(asked - {str(row.pk) for row in rows})
        if done:
            text = ngettext("%(verb)s: %(count)s row done.", "%(verb)s: %(count)s rows done.", done)
            messages.success(request, text % {"verb": verb.label, "count": done})
        if refused:
            text = ngettext("%(count)s row was refused:", "%(count)s rows were refused:", len(refused))
            messages.warning(request, text % {"count": len(refused)})
        for sentence in refused[:MOST_NAMED]:
            messages.warning(request, sentence)
        if len(refused) > MOST_NAMED:
            messages.warning(request, _("And %(count)s more.") % {"count": len(refused) - MOST_NAMED})
        if gone:
            text = ngettext("%(count)s row is not in this list any more.", "%(count)s rows are not in this list any more.", gone)
            messages.warning(request, text % {"count": gone})


def _button(verb: Verb) -> Callable:
    """The view of one verb, with what unfold wants to know of an action."""

    def view(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.press(request, verb, object_id)

    view.__name__ = f"verb_{verb.name}"
    view.short_description, view.icon, view.variant, view.url_path, view.attrs = verb.label, verb.icon, None, verb.name, {}
    view.dialog = {"title": verb.label, "description": verb.text, "form_class": verb.form, "form_submit_text": verb.label}
    return view


def _bulk_action(verb: BulkVerb) -> Callable:
    def action(self: Any, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        return self.do_bulk(request, verb, queryset)

    action.__name__ = f"bulk_{verb.name}"
    action.short_description, action.dialog = verb.label, {"title": verb.label, "form_class": verb.form}
    return action
