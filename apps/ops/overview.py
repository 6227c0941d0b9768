"""The page that says how the installation runs: worker, schedules, jobs, backups, handhelds' clocks, disks and versions."""

import os
import platform
import shutil
import socket
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Count, F, Max, Min
from django.db.models.functions import Abs
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.text import Truncator
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule

from apps.accounts.access import access_of
from apps.core.jobs import RUN
from apps.core.models import Heartbeat, JobRun, JobState
from apps.dashboard.figures import shortest
from apps.dashboard.links import list_of, may_open, page_of, verb_on
from apps.dashboard.navigation import UNDISPATCHED
from apps.dashboard.panels import Panel, Row, when
from apps.ops.backups.making import last_proved
from apps.ops.doctor import BEAT_LIMIT, DRILL_LIMIT, GIGABYTE, QUEUE_LIMIT, unapplied
from apps.ops.models import Backup, BackupState
from apps.ops.schedules import PERIODIC, Periodic
from apps.ops.tones import BACKUPS, JOBS
from apps.ops.trouble import trouble
from apps.scanning.clocks import clock_in_words, is_clock_off
from apps.scanning.models import Device, Outcome, Scan
from apps.workorders.models import Task

MINUTE = timedelta(minutes=1)
MOST = 8  # rows of a panel; the rest is one click away
Label = tuple[str, str]


@dataclass(frozen=True)
class Figure:
    """A number at the top. `url` is the list that it counts, where the reader may open it; `tone` colours it when it is not 0."""

    label: str
    count: int
    icon: str
    url: str = ""
    tone: str = ""


def content(user: Any) -> dict[str, Any]:
    """What the page's template needs. About sixteen queries, the same for a small and for a large installation."""
    trouble(fresh=True)  # the banner above this page is as new as what is below
    waiting = _queue()
    return {
        "figures": _figures(user, waiting["jobs"]),
        "main_panels": [_worker(waiting["oldest"]), _failures(), _schedules(), _backups()],
        "side_panels": [_disks(), _clocks(user), _versions()],
        "now": timezone.localtime(),
        "zone": settings.TIME_ZONE,
    }


def _ago(moment: Any) -> str:
    return _("now") if timezone.now() - moment < MINUTE else _("%(time)s ago") % {"time": timesince(moment)}


def _good(words: str) -> tuple[Label, ...]:
    return ((words, "success"),)


def _bad(words: str) -> tuple[Label, ...]:
    return ((words, "danger"),)


def _queue() -> dict[str, Any]:
    """The jobs that wait, and since when the oldest does. Rows that are being delivered are locked into the future."""
    return OrmQ.objects.filter(key=Conf.CLUSTER_NAME, lock__lte=timezone.now()).aggregate(jobs=Count("pk"), oldest=Min("lock"))


def _figures(user: Any, jobs: int) -> list[Figure]:
    states = (JobState.RUNNING, JobState.FAILED, JobState.DEAD)
    runs = dict(JobRun.objects.filter(state__in=states).order_by().values_list("state").annotate(Count("pk")))
    received = Scan.objects.filter(outcome=Outcome.RECEIVED).count()

    def of_runs(label: str, state: str, icon: str, tone: str = "") -> Figure:
        return Figure(label, runs.get(state, 0), icon, list_of(JobRun, state__exact=state) if may_open(user, JobRun) else "", tone)

    return [
        Figure(_("Jobs waiting"), jobs, "hourglass_top"),
        of_runs(_("Jobs running"), JobState.RUNNING, "sync"),
        of_runs(_("Jobs failed, tried again"), JobState.FAILED, "replay", "warning"),
        of_runs(_("Jobs given up"), JobState.DEAD, "report", "danger"),
        Figure(
            _("Undispatched tasks"),
            Task.objects.undispatched().count(),
            "move_to_inbox",
            list_of(Task, **UNDISPATCHED) if may_open(user, Task) else "",
            "warning",
        ),
        Figure(
            _("Scans not yet applied"),
            received,
            "qr_code_scanner",
            list_of(Scan, outcome__exact=Outcome.RECEIVED) if may_open(user, Scan) else "",
            "warning",
        ),
    ]


def _worker(oldest: Any) -> Panel:
    """The sign of life that went through the queue, the clusters that supervisors keep, and the queue itself."""
    now, rows = timezone.now(), []
    beats = {beat.name: beat for beat in Heartbeat.objects.order_by("-name")[:50]}
    beat = beats.pop("worker", None)
    if beat is None:
        rows.append(
            Row(
                _("Worker"),
                detail=_("It has never run. Start it: systemctl start docket-worker, or the worker's container."),
                labels=_bad(pgettext("worker", "down")),
            )
        )
    else:
        is_down = now - beat.beat_at > BEAT_LIMIT
        rows.append(
            Row(
                _("Worker"),
                detail=_("Last sign of life %(time)s, on %(host)s") % {"time": _ago(beat.beat_at), "host": beat.host or "?"},
                labels=_bad(pgettext("worker", "down")) if is_down else _good(pgettext("worker", "runs")),
            )
        )
    rows += [
        Row(other.name, detail=_("Started %(time)s, process group %(group)s") % {"time": when(other.beat_at), "group": other.process_group})
        for other in beats.values()
    ]
    if oldest is None:
        rows.append(Row(_("Queue"), detail=_("No job waits."), labels=_good(pgettext("queue", "empty"))))
    else:
        late = now - oldest > QUEUE_LIMIT
        labels = _bad(pgettext("queue", "late")) if late else _good(pgettext("queue", "moves"))
        rows.append(Row(_("Queue"), detail=_("The oldest job has waited %(time)s.") % {"time": timesince(oldest)}, labels=labels))
    return Panel("worker", _("Worker and queue"), "manufacturing", rows, "", tone="danger" if rows[0].labels[0][1] == "danger" else "")


def _schedules() -> Panel:
    """When each periodic job runs next, and how it went last."""
    known = {row.name: row for row in Schedule.objects.filter(func=RUN)}
    last = {run.key: run for run in JobRun.objects.filter(key__in=[row.task for row in known.values() if row.task])}
    rows = [_scheduled(one, known.get(one.job), last) for one in PERIODIC]
    return Panel("schedules", _("Schedules"), "event_repeat", rows, "")


def _scheduled(one: Periodic, row: Schedule | None, last: dict[str, JobRun]) -> Row:
    if one.cron:
        often = _("cron %(line)s") % {"line": one.cron}
    else:
        often = ngettext("every %(count)s minute", "every %(count)s minutes", one.minutes) % {"count": one.minutes}
    title = str(one.purpose)
    if row is None or row.next_run is None:
        return Row(
            title, detail=f"{one.job} · {often} · {_('The worker writes it when it starts.')}", labels=_bad(pgettext("schedule", "missing"))
        )
    said, labels = [one.job, often, _("next %(time)s") % {"time": when(row.next_run)}], ()
    if timezone.now() - row.next_run > QUEUE_LIMIT:
        labels = _bad(pgettext("schedule", "overdue"))
    run = last.get(row.task or "")
    if run is None:
        said.append(_("no result yet"))
        return Row(title, detail=" · ".join(said), labels=labels)
    said.append(_("last %(time)s") % {"time": when(run.started_at)})
    if run.problem:
        said.append(_short(run.problem))
    labels = (*labels, (run.get_state_display(), JOBS[run.state]))
    figure = "" if run.milliseconds is None else _("%(count)s ms") % {"count": number_format(run.milliseconds, force_grouping=True)}
    return Row(title, page_of(JobRun, run.pk), " · ".join(said), labels, figure=figure)


def _short(text: str) -> str:
    """Its first line, and no more than fits; a sign says where it was cut."""
    return Truncator(text.strip().partition("\n")[0]).chars(200)


def _failures() -> Panel:
    """The last jobs that went wrong, each with the way to try it again."""
    found, has_more = shortest(JobRun.objects.filter(state__in=(JobState.FAILED, JobState.DEAD)), MOST)
    rows = [
        Row(
            str(run),
            page_of(JobRun, run.pk),
            f"{when(run.started_at)} · {_short(run.problem)}",
            ((run.get_state_display(), JOBS[run.state]),),
            move=(_("Try again"), verb_on(JobRun, "retry", run.pk)),
            dialog=True,
        )
        for run in found
    ]
    more, empty = list_of(JobRun, state__exact=JobState.DEAD), _("No job failed, and none was given up.")
    return Panel("failures", _("Jobs that went wrong"), "report", rows, empty, more, has_more, "danger")


def _backups() -> Panel:
    """The last proof and the last rehearsal, then the last runs."""
    proved = last_proved()
    drilled = Backup.objects.aggregate(last=Max("drilled_at"))["last"]
    found = list(Backup.objects.order_by("-started_at", "-pk")[:MOST])
    rows = [
        Row(
            _("Last proof"),
            page_of(Backup, proved.pk) if proved else "",
            _("taken %(time)s") % {"time": _ago(proved.started_at)} if proved else _("No backup was ever proved. Run: manage.py backup"),
            _copied(proved) if proved else _bad(_("never")),
        ),
        Row(
            _("Last rehearsal of a restore"),
            detail=_ago(drilled) if drilled else _("Run: manage.py restore latest --drill"),
            labels=() if drilled and timezone.now() - drilled <= DRILL_LIMIT else ((pgettext("rehearsal", "due"), "warning"),),
        ),
    ]
    rows += [
        Row(
            row.name,
            page_of(Backup, row.pk),
            " · ".join(filter(None, (when(row.started_at), row.host, _short(row.problem)))),
            ((row.get_state_display(), BACKUPS[BackupState(row.state)]),),
            figure=filesizeformat(row.size) if row.size else "",
        )
        for row in found
    ]
    return Panel("backups", _("Backups"), "backup", rows, "", list_of(Backup), has_more=True)


def _copied(row: Backup) -> tuple[Label, ...]:
    return ((_("copied off site"), "success"),) if row.copied_at else ((_("on this machine only"), "warning"),)


def _disks() -> Panel:
    """Room where Docket writes, as this machine sees it."""
    places = [
        (_("Uploads"), Path(settings.STORAGES["private"]["OPTIONS"]["location"])),
        (_("Backups"), Path(settings.DOCKET_BACKUP_DIR)),
    ]
    rows = []
    if connection.vendor == "sqlite":
        places.insert(0, (_("Database"), Path(connection.settings_dict["NAME"]).parent))
    else:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            size = cursor.fetchone()[0]
        rows.append(Row(_("Database"), detail=_("It has so much, on its own server's disk."), figure=filesizeformat(size)))
    return Panel("disks", _("Room on the disks"), "hard_drive", rows + [_disk(*place) for place in places], "", wide=False)


def _disk(name: str, folder: Path) -> Row:
    there = folder.resolve()
    while not there.is_dir():  # it is made when something is written
        there = there.parent
    usage = shutil.disk_usage(there)
    labels: tuple[Label, ...] = ()
    if usage.free < GIGABYTE:
        labels = ((_("nearly full"), "danger" if usage.free < GIGABYTE / 10 else "warning"),)
    free = _("%(free)s of %(total)s are free") % {"free": filesizeformat(usage.free), "total": filesizeformat(usage.total)}
    return Row(name, detail=f"{free} · {folder}", labels=labels)


def _clocks(user: Any) -> Panel:
    """The handhelds in use, the one whose clock is most wrong first."""
    devices = Device.objects.visible_to(user).live().with_last_seen().select_related("department")
    worst_first = (Abs("clock_offset_ms").desc(nulls_last=True), F("seen_at").desc(nulls_last=True), "pk")
    found, has_more = shortest(devices.order_by(*worst_first), MOST)
    rows = []
    for device in found:
        seen = _("seen %(time)s") % {"time": _ago(device.seen_at)} if device.seen_at else _("never seen")
        offset = device.clock_offset_ms
        tone = "" if offset is None else "warning" if is_clock_off(offset) else "success"
        words = _("clock not told") if offset is None else clock_in_words(offset)
        rows.append(Row(device.name, page_of(Device, device.pk), f"{device.department} · {seen}", ((words, tone),)))
    empty = _("No handheld is in use.")
    return Panel("clocks", _("Clocks of the handhelds"), "schedule", rows, empty, list_of(Device), has_more, wide=False)


def _versions() -> Panel:
    missing, system = unapplied(), {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.vendor]
    migrations = _("%(count)s not applied") % {"count": len(missing)}
    rows = [
        Row("Docket", detail=revision() and _("revision %(revision)s") % {"revision": revision()}, figure=settings.DOCKET_VERSION),
        Row(
            _("Migrations"),
            detail=_("%(name)s and what follows. Run: manage.py migrate") % {"name": ".".join(missing[0])} if missing else "",
            labels=_bad(migrations) if missing else _good(_("all applied")),
        ),
        Row(system, figure=".".join(map(str, connection.get_database_version()))),
        Row("Django", figure=django.get_version()),
        Row("Python", figure=platform.python_version()),
        Row(_("Machine"), detail=socket.gethostname()),
    ]
    return Panel("versions", _("Versions"), "deployed_code", rows, "", wide=False)


@cache
def revision(folder: Path = settings.BASE_DIR) -> str:
    """The commit that `folder` is a checkout of, as it was when first asked; "" where that is not known. Asks git once in a process."""
    words = ["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"]
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(Path(folder).parent)}
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=False, timeout=5, env=environment)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """For those who look after the installation. Changes nothing."""
    if not access_of(request.user).has("ops.view_operations"):
        raise PermissionDenied(_("Only administrators see how the installation runs."))
    context = {**admin.site.each_context(request), "title": _("How it runs"), **content(request.user)}
    return TemplateResponse(request, "admin/operations/overview.html", context)


urlpatterns = [path("", admin.site.admin_view(overview), name="operations")]
