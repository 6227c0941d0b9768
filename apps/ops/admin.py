"""The backups and the background jobs of this installation.

The queue's own admin pages run any function that is typed into them: they are taken away."""

from typing import Any

import django_q.admin  # noqa: F401  (registers its pages, so that they can be taken away here)
from django.apps import apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import FileResponse
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from apps.accounts.sudo import SudoForm
from apps.core.admin import DialogForm, Verb, VerbsOnlyAdmin
from apps.core.errors import RuleError
from apps.core.jobs import retry
from apps.core.models import JobRun, JobState
from apps.ops.backups.making import log, path_of
from apps.ops.models import Backup, BackupState
from apps.ops.tones import BACKUPS, JOBS

for model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(model):
        admin.site.unregister(model)

KEPT = (BackupState.MADE, BackupState.PROVED)


class DownloadForm(SudoForm):
    """All of it leaves in one file: the password is asked for each time."""

    always = True


def _may_download(user: Any, row: Backup) -> bool:
    return row.state in KEPT and user.has_perm("ops.download_backup")


def take(row: Backup, *, by: Any) -> Any:
    """The archive, opened, for who may have it. Raises RuleError or PermissionDenied."""
    if not by.has_perm("ops.download_backup"):
        raise PermissionDenied
    path = path_of(row.name)
    try:
        if row.state not in KEPT:
            raise FileNotFoundError
        file = path.open("rb")
    except OSError as error:
        raise RuleError(
            _("The archive is not on this machine. It was made on %(host)s.") % {"host": row.host or "?"}, code="elsewhere"
        ) from error
    log.warning("backup %s is downloaded by %s", row.name, by)
    return file


def _answer(file: Any) -> FileResponse:
    return FileResponse(file, as_attachment=True, content_type="application/x-tar", headers={"Cache-Control": "no-store"})


class RecordAdmin(VerbsOnlyAdmin):
    """What the machinery writes down."""

    actions = ()

    @display(description=_("state"))
    def state_now(self, row: Backup | JobRun) -> str:
        return row.get_state_display()


@admin.register(Backup)
class BackupAdmin(RecordAdmin):
    """Backups are made by the worker and by commands."""

    list_display = ("name", "state_label", "started_at", "proved_at", "size_label", "events", "is_encrypted", "host", "problem")
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields = ("name",)
    ordering = ("-started_at", "-pk")
    readonly_fields = ("state_now", "size_label")
    fieldsets = (
        (None, {"fields": ("name", "state_now", "problem", "started_at", "made_at", "proved_at", "drilled_at", "copied_at")}),
        (_("Contents"), {"fields": ("size_label", "rows", "events", "release", "host", "sha256", "key_fingerprint")}),
    )
    quick_links = ((pgettext_lazy("backup", "Proved"), "state__exact=proved"), (pgettext_lazy("backup", "Failed"), "state__exact=failed"))
    verbs = (
        Verb(
            "download",
            _("Download"),
            take,
            DownloadForm,
            "download",
            text=_("The archive holds everything: every order, every person, every upload. Keep it where nobody else can read it."),
            when=_may_download,
            answers=_answer,
        ),
    )

    @display(description=_("state"), ordering="state", label=BACKUPS)
    def state_label(self, row: Backup) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @display(description=pgettext_lazy("backup", "encrypted"), ordering="key_fingerprint", boolean=True)
    def is_encrypted(self, row: Backup) -> bool:
        return bool(row.key_fingerprint)

    @display(description=pgettext_lazy("backup", "size"), ordering="size")
    def size_label(self, row: Backup) -> str:
        return filesizeformat(row.size) if row.size else "–"


def _may_retry(user: Any, row: JobRun) -> bool:
    return row.state in (JobState.FAILED, JobState.DEAD) and user.has_perm("core.retry_jobrun")


@admin.register(JobRun)
class JobRunAdmin(RecordAdmin):
    """What the worker did, and what it gave up."""

    list_display = ("title", "state_label", "attempts", "started_at", "milliseconds", "problem")
    list_display_links = ("title",)
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields = ("name", "arguments", "request_id")
    ordering = ("-started_at", "-pk")
    readonly_fields = ("state_now",)
    fields = ("name", "arguments", "state_now", "problem", "attempts", "started_at", "finished_at", "milliseconds", "request_id", "host")
    quick_links = ((pgettext_lazy("job", "Given up"), "state__exact=dead"), (pgettext_lazy("job", "Running"), "state__exact=running"))
    verbs = (
        Verb(
            "retry",
            _("Try again"),
            retry,
            DialogForm,
            "replay",
            text=_("The job goes into the queue once more. It finds its work in the tables, so nothing is done twice."),
            done=_("%(object)s is in the queue again."),
            when=_may_retry,
        ),
    )

    @display(description=pgettext_lazy("job", "job"), ordering="name")
    def title(self, row: JobRun) -> str:
        return str(row)

    @display(description=_("state"), ordering="state", label=JOBS)
    def state_label(self, row: JobRun) -> tuple[str, str]:
        return row.state, row.get_state_display()
