"""The page that answers: why can, or can't, X see this?"""

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import User
from apps.workorders.admin.overview import may_ask
from apps.workorders.explain import explain, sees

RULES = {
    "active": gettext_lazy("Active account"),
    "superuser": gettext_lazy("Superuser"),
    "sees_all": gettext_lazy("Role that sees everything"),
    "maker": gettext_lazy("Maker of the order"),
    "created": gettext_lazy("Created the order"),
    "salesperson": gettext_lazy("Salesperson of the customer"),
    "leads": gettext_lazy("Leads a department that works on it"),
    "own_task": gettext_lazy("Has the task"),
    "queue": gettext_lazy("Works where the task waits"),
    "shared_order": gettext_lazy("Share of the order"),
    "shared_task": gettext_lazy("Share of the task"),
}


class WhyMixin:
    """Adds `<id>/why/` to the admin of orders or tasks."""

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_why"
        return [path("<path:object_id>/why/", self.admin_site.admin_view(self.why_view), name=name), *super().get_urls()]

    def why_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """An administrator may ask about any row, of which he is told the number only; a supervisor about what he sees."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        obj = self.get_object(request, unquote(object_id))
        in_sight = obj is not None
        if not in_sight:
            if not may_ask(request.user, None, in_sight=False):
                raise Http404
            obj = self._anywhere(unquote(object_id))
        elif not may_ask(request.user, obj, in_sight=True):
            raise PermissionDenied
        people = User.objects.visible_to(request.user).order_by("username")
        asked = request.GET.get("user", "")
        person = people.filter(pk=int(asked)).first() if asked.isascii() and asked.isdigit() and len(asked) < 18 else None
        clauses = explain(person, obj) if person else []
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Why is it seen?"),
            "subtitle": str(obj),
            "original": obj,
            "people": people[:1000],
            "person": person,
            "asked": bool(asked),
            "verdict": sees(clauses) if person else None,
            "clauses": [(RULES.get(one.rule, one.rule), one.holds, self._told(one, in_sight)) for one in clauses],
            "back": self.object_url(obj.pk) if in_sight else "",
        }
        return TemplateResponse(request, "docket/why.html", context)

    def _anywhere(self, pk: str) -> Any:
        try:
            return self.model._default_manager.get(pk=self.opts.pk.to_python(pk))
        except (self.model.DoesNotExist, ValidationError, OverflowError):
            raise Http404 from None

    def _told(self, clause: Any, in_sight: bool) -> str:
        """Whom the order is for is not told to somebody who does not see the order."""
        if in_sight or clause.rule != "salesperson":
            return clause.detail
        return _("Is the salesperson of the order's customer.") if clause.holds else _("Is not the salesperson of the order's customer.")
