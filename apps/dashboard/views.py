"""The home page's moving part, notices, the account page, and the preview of dispatch rules."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.accounts import services
from apps.accounts.access import access_of
from apps.accounts.models import AccessToken, Department
from apps.accounts.roles import Role
from apps.accounts.second_factor import factor_of
from apps.accounts.sessions import end_session, end_sessions, handle_of, open_sessions
from apps.core.context import acting
from apps.dashboard import figures
from apps.dashboard.links import of_notice, page_of
from apps.dashboard.panels import content
from apps.dispatch.models import DispatchRule
from apps.notices.models import Notice
from apps.notices.services import mark_all_read, mark_read
from apps.workorders.models import Task
from apps.workorders.services import preview_task
from apps.workorders.states import ORDER_RUNNING, TaskStatus

PREVIEWED = 20  # tasks that one preview tries; each costs a few queries


@never_cache
@require_GET
def panels(request: HttpRequest) -> HttpResponse:
    """The home page without its frame, asked for every 15 seconds while it is in sight.

    204 where the stamp that the page has is still the present one. Who is signed out meanwhile gets the whole page again,
    which is the sign-in.
    """
    if not admin.site.has_permission(request):
        return HttpResponse(status=401, headers={"HX-Refresh": "true"})
    if request.GET.get("seen") == figures.stamp(request.user):
        return HttpResponse(status=204)
    return TemplateResponse(request, "admin/dashboard/panels.html", content(request))


@require_POST
def open_notice(request: HttpRequest, pk: int) -> HttpResponse:
    """Mark one of the user's notices as read, and go where it points to; with `stay`, back to the home page."""
    notice = mark_read(get_object_or_404(Notice.objects.visible_to(request.user), pk=pk))
    return redirect("admin:index") if "stay" in request.POST else HttpResponseRedirect(of_notice(request.user, notice))


@require_POST
def read_notices(request: HttpRequest) -> HttpResponse:
    """Mark all of the user's notices as read."""
    number = mark_all_read(request.user)
    said = ngettext("%(count)s notice is marked as read.", "%(count)s notices are marked as read.", number) % {"count": number}
    messages.success(request, said)
    return redirect("admin:index")


@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Who the user is to Docket: name, roles, departments, absence, tokens."""
    user = request.user
    access = access_of(user)
    departments = Department.objects.filter(memberships__user=user).order_by("position", "code")
    context = {
        **admin.site.each_context(request),
        "title": _("My account"),
        "roles": [Role(role).label for role in sorted(access.roles)],
        "departments": [(one.label, one.pk in access.leads) for one in departments],
        "sessions": [(row, handle_of(row.session_key), row.session_key == request.session.session_key) for row in open_sessions(user)],
        "second_factor": factor_of(user),
        "tokens": AccessToken.objects.filter(user=user, revoked_at=None),
        "languages": settings.LANGUAGES,
    }
    return TemplateResponse(request, "admin/dashboard/account.html", context)


def change_password(request: HttpRequest) -> HttpResponse:
    """The admin's own page, in place of it: here the change is signed by who makes it."""
    with acting(request.user, reason="password"):
        response = admin.site.password_change(request)
    if request.method == "POST" and response.status_code == 302:
        end_sessions(request.user, but=request.session.session_key)
    return response


@require_POST
def revoke_own_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back one of the user's own tokens."""
    token = get_object_or_404(AccessToken.objects.filter(user=request.user), pk=pk)
    services.revoke_token(token, by=request.user)
    messages.success(request, _("The token %(token)s no longer signs in.") % {"token": token})
    return redirect("dashboard:account")


@require_POST
def end_own_session(request: HttpRequest) -> HttpResponse:
    """Sign out one of the user's own sessions, or all but this one."""
    if request.POST.get("session") == "others":
        number = end_sessions(request.user, but=request.session.session_key)
        said = ngettext("%(count)s other session is signed out.", "%(count)s other sessions are signed out.", number)
        messages.success(request, said % {"count": number})
    elif end_session(request.user, request.POST.get("session", "")):
        messages.success(request, _("The session is signed out."))
    else:
        messages.warning(request, _("This session has ended already."))
    return redirect("dashboard:account")


@require_GET
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    """What dispatch would do now with the waiting tasks of the rule's process. Changes nothing.

    Only who sees everything may look: candidates and reasons name people and departments of the whole shop.
    """
    rule = get_object_or_404(DispatchRule.objects.visible_to(request.user).select_related("process", "department"), pk=pk)
    if not (access_of(request.user).sees_all and access_of(request.user).has("dispatch.view_dispatchrule")):
        raise PermissionDenied(_("Only who sees the whole shop may preview a rule. Ask a planner."))
    tasks = (
        Task.objects.visible_to(request.user)
        .filter(step__process=rule.process_id, status=TaskStatus.PENDING, is_pinned=False, order__status__in=ORDER_RUNNING)
        .for_list()
        .order_by("-priority", "due_date", "pk")
    )
    found, has_more = figures.shortest(tasks, PREVIEWED)
    context = {
        **admin.site.each_context(request),
        "title": _("What would happen: %(process)s") % {"process": rule.process.label},
        "rule": rule,
        "rule_url": page_of(DispatchRule, rule.pk),
        "rows": [_previewed(task, rule) for task in found],
        "has_more": has_more,
        "most": PREVIEWED,
    }
    return TemplateResponse(request, "admin/dashboard/preview.html", context)


def _previewed(task: Task, rule: DispatchRule) -> dict[str, Any]:
    decision = preview_task(task)
    return {
        "task": task,
        "url": page_of(Task, task.pk),
        "department": decision.department,
        "operator": decision.operator,
        "reason": decision.reason,
        "stays": decision.department_id == task.department_id,
        "by_this_rule": decision.rule_id == rule.pk,
    }
