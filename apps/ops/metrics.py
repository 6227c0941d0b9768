"""`/metrics`: what a monitor watches, read from the database, so that every process and machine says the same."""

import hmac
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Max, Min
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_q.conf import Conf
from django_q.models import OrmQ

from apps.core.models import Heartbeat, Hold, JobRun, JobState, Tally
from apps.ops.backups.making import last_proved
from apps.ops.models import Backup, BackupState
from apps.scanning.models import Outcome, Scan
from apps.workorders.models import Task, WorkOrder

DAY = timedelta(days=1)
MOST_SCANS = 50_000
Line = tuple[str, str, dict[str, str], float]  # name, help, labels, value


def _age(moment: datetime | None) -> float:
    """Seconds since then; -1 where it never was."""
    return -1 if moment is None else max(0.0, (timezone.now() - moment).total_seconds())


def lines() -> Iterator[Line]:
    """Every figure. About ten queries, each over an index or a small table."""
    since = timezone.now() - DAY
    newest = Scan.objects.aggregate(pk=Max("pk"))["pk"] or 0  # no index begins with the time: a day has fewer than MOST_SCANS
    recent = Scan.objects.filter(pk__gt=newest - MOST_SCANS, received_at__gt=since)
    scans = dict(recent.order_by().values_list("outcome").annotate(Count("pk")))
    for outcome in Outcome.values:
        yield "docket_scans_last_day", "Scans received in the last 24 hours.", {"outcome": outcome}, scans.get(outcome, 0)
    queue = OrmQ.objects.filter(key=Conf.CLUSTER_NAME).aggregate(jobs=Count("pk"), oldest=Min("lock"))
    yield "docket_queue_jobs", "Jobs in the queue.", {}, queue["jobs"]
    due = queue["oldest"] if queue["oldest"] and queue["oldest"] < timezone.now() else timezone.now()
    yield "docket_queue_age_seconds", "How long the oldest due job has waited.", {}, _age(due)
    beat = Heartbeat.objects.filter(name="worker").values_list("beat_at", flat=True).first()
    yield "docket_worker_beat_age_seconds", "Since a job last went through the queue; -1: never.", {}, _age(beat)
    states = dict(JobRun.objects.filter(started_at__gt=since).order_by().values_list("state").annotate(Count("pk")))
    for state in JobState.values:
        yield "docket_jobs_last_day", "Jobs started in the last 24 hours.", {"state": state}, states.get(state, 0)
    yield "docket_jobs_given_up", "Jobs that were given up and wait for a person.", {}, JobRun.objects.filter(state=JobState.DEAD).count()
    yield "docket_tasks_undispatched", "Tasks of running orders that no rule gave to a department.", {}, Task.objects.undispatched().count()
    yield "docket_orders_late", "Open orders past their due date.", {}, WorkOrder.objects.late().count()
    proved = last_proved()
    taken = proved.started_at if proved else None
    yield "docket_backup_age_seconds", "Age of the last backup that was proved by a restore; -1: never.", {}, _age(taken)
    last = Backup.objects.order_by("-started_at").values_list("state", flat=True).first()
    yield "docket_backup_failed", "1 where the last run of the backup failed.", {}, int(last == BackupState.FAILED)
    yield "docket_held", "1 while jobs and mail stand still after a restore.", {}, int(Hold.objects.exists())
    tries = Tally.objects.filter(name="sign_in_refused").values_list("count", flat=True).first()
    yield "docket_sign_ins_refused_total", "Sign-ins that were refused.", {}, tries or 0


def text() -> str:
    """All figures as Prometheus reads them. A database that does not answer is a figure, too."""
    found: list[Line] = [("docket_info", "Which Docket this is.", {"version": settings.DOCKET_VERSION}, 1)]
    try:
        found += lines()
        answers = 1
    except (DatabaseError, InterfaceError):
        answers = 0
    found.append(("docket_database_up", "1 while the database answers.", {}, answers))
    said, told = [], set()
    for name, help_text, labels, value in found:
        if name not in told:
            told.add(name)
            said += [f"# HELP {name} {help_text}", f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"]
        marks = ",".join(f'{key}="{word}"' for key, word in labels.items())
        figure = f"{round(value, 3):.15g}"
        said.append(f"{name}{{{marks}}} {figure}" if marks else f"{name} {figure}")
    return "\n".join(said) + "\n"


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """404 where no token is set, 403 without it."""
    if not settings.DOCKET_METRICS_TOKEN:
        raise Http404
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), settings.DOCKET_METRICS_TOKEN.encode()):
        return HttpResponse("Send the token: Authorization: Bearer …\n", status=403, content_type="text/plain; charset=utf-8")
    return HttpResponse(text(), content_type="text/plain; version=0.0.4; charset=utf-8")


urlpatterns = [path("", metrics, name="metrics")]
