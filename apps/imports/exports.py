"""Files of lists that are too long for a page, or that are wanted again: made by a job, kept privately for a few days."""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, time, timedelta
from typing import Any
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.core.files import File
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from apps.core.context import acting
from apps.core.errors import RuleError
from apps.core.jobs import enqueue
from apps.core.validation import validated
from apps.imports.models import Every, ExportRun, ExportState, SavedExport
from apps.notices.services import notify

log = logging.getLogger("docket.export")
KEPT = timedelta(days=7)
LOST = timedelta(minutes=10)  # without a sign of life
STEP = 1_000  # rows between two signs of life
MOST_WAITING = 5  # of one person at a time


def file_name(name: str, chosen: str) -> str:
    return f"{name}-{timezone.localtime():%Y%m%d-%H%M}.{chosen}"


def page_of(run: ExportRun) -> str:
    return reverse("admin:imports_exportrun_change", args=[run.pk])


def start(resource: str, query: str, chosen: str, *, by: Any, saved: SavedExport | None = None) -> ExportRun:
    """Have the list made into a file by a job. Raises RuleError where the person has enough of them under way."""
    if len(query) > ExportRun._meta.get_field("query").max_length:
        raise RuleError(_("The filter of this list is too long. Take a part of it away."), code="filter")
    with acting(by):
        if ExportRun.objects.filter(owner=by).unfinished().count() >= MOST_WAITING:
            raise RuleError(_("Several of your exports are being made already. Wait for one of them."), code="busy")
        run = ExportRun.objects.create(
            owner=by, resource=resource, query=query, format=chosen, saved=saved, columns=saved.columns if saved else [],
            language=saved.language if saved else translation.get_language(), title=saved.name if saved else "",
        )  # fmt: skip
        enqueue("imports.export", run.pk)
    return run


def run_saved(saved: SavedExport, *, by: Any) -> ExportRun:
    """Make the file of a saved export now."""
    if saved.owner_id != by.pk:
        raise PermissionDenied
    return start(saved.resource, saved.query, saved.format, by=by, saved=saved)


def claim(pk: int) -> ExportRun | None:
    """The run, if it waits or was left behind: it is then this job's."""
    now = timezone.now()
    waiting = Q(state=ExportState.WAITING) | Q(state=ExportState.RUNNING, beat_at__lt=now - LOST)
    if not ExportRun.objects.filter(waiting, pk=pk).update(state=ExportState.RUNNING, beat_at=now, rows_done=0):
        return None
    return ExportRun.objects.select_related("owner").get(pk=pk)


def begin(run: ExportRun, count: int) -> None:
    run.rows_total = count
    run.save(update_fields=["rows_total"])


def counted(run: ExportRun, rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """The rows as they are, while the run tells how far they got. The header is not counted."""
    for number, row in enumerate(rows):
        run.rows_done = number
        if number % STEP == 0:
            ExportRun.objects.filter(pk=run.pk).update(rows_done=number, beat_at=timezone.now())
        yield row


def finish(run: ExportRun, file: Any) -> None:
    """Keep the file privately, and tell the owner. Where that fails, no file is left that nobody knows."""
    run.file_name = file_name(run.resource.rpartition(".")[2], run.format)
    run.file.save(f"{uuid4().hex}.{run.format}", File(file), save=False)
    run.state, run.finished_at = ExportState.DONE, timezone.now()
    kept = False
    try:
        with transaction.atomic():
            run.save()
            notify([run.owner], "export_ready", url=page_of(run), run=run.pk, rows=run.rows_done, days=KEPT.days)
        kept = True
    finally:
        if not kept:
            run.file.delete(save=False)
    log.info("export %s of %s: %s rows of %s", run.pk, run.owner, run.rows_done, run.resource)


def fail(run: ExportRun, problem: str) -> None:
    run.state, run.problem, run.finished_at = ExportState.FAILED, problem[:300], timezone.now()
    with transaction.atomic():
        run.save()
        notify([run.owner], "export_failed", url=page_of(run), run=run.pk, reason=run.problem)


def next_time(saved: SavedExport, after: datetime) -> datetime | None:
    """When it runs next, at its hour of the site's clock. None: only by hand."""
    if not saved.every:
        return None
    zone = timezone.get_current_timezone()
    day = timezone.localtime(after).date()
    for ahead in range(9):
        at = datetime.combine(day + timedelta(days=ahead), time(saved.hour), tzinfo=zone)
        if at > after and (saved.every == Every.DAY or at.weekday() == saved.weekday):
            return at
    raise AssertionError("no day of the week came")


def start_due() -> int:
    """Start the saved exports whose hour has come, each once however late, and those again whose job was lost; says how many."""
    now, started = timezone.now(), 0
    for pk in SavedExport.objects.filter(next_at__lte=now).values_list("pk", flat=True):
        with transaction.atomic():
            saved = SavedExport.objects.filter(pk=pk, next_at__lte=now).select_related("owner").locked().first()
            if saved is None:
                continue
            SavedExport.objects.filter(pk=pk).update(next_at=next_time(saved, now))
            if saved.owner.is_active:
                started += _start_quietly(saved)
    lost = ExportRun.objects.filter(state=ExportState.RUNNING, beat_at__lt=now - LOST)
    waiting = ExportRun.objects.filter(state=ExportState.WAITING, created_at__lt=now - LOST)
    for pk in [*lost.values_list("pk", flat=True), *waiting.values_list("pk", flat=True)]:
        enqueue("imports.export", pk)
        started += 1
    return started


def _start_quietly(saved: SavedExport) -> int:
    try:
        run_saved(saved, by=saved.owner)
    except RuleError as refusal:
        log.warning("saved export %s was left out: %s", saved.pk, refusal)
        return 0
    return 1


def purge() -> int:
    """Throw away the exports that were kept long enough, with their files; says how many."""
    gone = 0
    for run in ExportRun.objects.filter(created_at__lt=timezone.now() - KEPT):
        run.file.delete(save=False)
        run.delete()
        gone += 1
    return gone


def download(run: ExportRun, *, by: Any) -> ExportRun:
    """The run, if its file may still be had by `by`: his own. Whether he may still export the list is asked by the page."""
    if run.owner_id != by.pk:
        raise PermissionDenied
    if run.state != ExportState.DONE or not run.file:
        raise RuleError(_("There is no file yet. Wait for the notice."), code="not_ready")
    return run


def save(saved: SavedExport, *, by: Any) -> SavedExport:
    """Keep a new or changed definition; from then on it runs at its hour."""
    with acting(by):
        if saved.pk is None:
            saved.owner = by
        elif saved.owner_id != by.pk:
            raise PermissionDenied
        saved.language = saved.language or translation.get_language()
        saved.next_at = next_time(saved, timezone.now())
        validated(saved)
        saved.save()
    return saved
