"""Files that people bring, their rows, and what became of each."""

from collections import Counter
from datetime import timedelta
from itertools import chain
from typing import Any, Self

from django.conf import settings
from django.core.files.storage import storages
from django.db import models
from django.db.models import Q
from django.utils.dates import WEEKDAYS as DAYS
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.accounts.access import access_of
from apps.accounts.models import Membership
from apps.core.history import Tracked
from apps.core.models import Versioned
from apps.core.querysets import ScopedQuerySet


def private_storage() -> Any:
    return storages["private"]


class ImportState(models.TextChoices):
    MATCHING = "matching", _("waits for its columns")
    READING = "reading", _("being read")
    PLANNING = "planning", _("being planned")
    PLANNED = "planned", pgettext_lazy("import", "planned")
    FAULTY = "faulty", _("has errors")
    APPLYING = "applying", _("being applied")
    STOPPED = "stopped", _("stopped")
    PARTLY = "partly", _("partly applied")
    APPLIED = "applied", _("applied")
    REVERTING = "reverting", _("being taken back")
    REVERTED = "reverted", _("taken back")


LEASE = timedelta(seconds=60)  # how long a run is left to who is at it, without a sign of life
WORKING = (ImportState.READING, ImportState.PLANNING, ImportState.APPLYING, ImportState.REVERTING)  # a job is at it, or should be
UNTOUCHED = (  # nothing of it was ever written
    ImportState.MATCHING, ImportState.READING, ImportState.PLANNING, ImportState.PLANNED, ImportState.FAULTY,
)  # fmt: skip


class ImportRunQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """A run belongs to who uploaded it. Supervisors see the runs of their departments' people, auditors every run's record."""
        access = access_of(user)
        if access.sees_all:
            return self
        mine = Q(owner=access.user_id)
        if access.leads:
            mine |= Q(owner__in=Membership.objects.filter(department__in=access.leads).values("user"))
        return self.filter(mine)

    def working(self) -> Self:
        return self.filter(state__in=WORKING)


class ImportRun(models.Model):
    """One file on its way in: staged row by row, planned (the real import, rolled back), applied, and perhaps taken back.

    A job that works on it holds it by `lease` until `lease_until`, so that no two do; whoever finds it run out goes on.
    """

    resource = models.CharField(_("what"), max_length=40, help_text="A key of the registry of resources.")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, verbose_name=_("uploaded by"), on_delete=models.PROTECT, related_name="import_runs")
    state = models.CharField(_("state"), max_length=10, choices=ImportState, default=ImportState.PLANNING)
    file = models.FileField(_("file"), storage=private_storage, upload_to="imports/%Y/%m")
    file_name = models.CharField(_("file name"), max_length=200)
    sha256 = models.CharField(max_length=64, db_index=True)
    options = models.JSONField(default=dict, blank=True)
    tables = models.JSONField(default=list, blank=True, help_text="[{sheet, columns: [name, ...]}], one for each resource that reads one.")
    notes = models.JSONField(default=list, blank=True, help_text="About the file as a whole: [{row, message, level, sheet}].")
    rows_total = models.PositiveIntegerField(_("rows"), default=0)
    rows_planned = models.PositiveIntegerField(_("planned rows"), default=0)
    rows_done = models.PositiveIntegerField(_("applied rows"), default=0)
    steps_done = models.PositiveIntegerField(default=0, help_text="Rows that the job at work is through with.")
    steps_total = models.PositiveIntegerField(default=0)
    stopped_because = models.CharField(_("stopped because"), max_length=300, blank=True)
    lease = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(_("uploaded at"), auto_now_add=True)
    applied_at = models.DateTimeField(_("applied at"), null=True, blank=True)
    reverted_at = models.DateTimeField(_("taken back at"), null=True, blank=True)
    objects = ImportRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.pk} · {self.file_name}"

    @property
    def is_working(self) -> bool:
        return self.state in WORKING

    @cached_property
    def plan(self) -> list[dict[str, Any]]:
        """What the rows become, thing by thing, without those that nothing can be said of. One query."""
        return [row.entry for row in self.rows.planned()]

    @cached_property
    def problems(self) -> list[dict[str, Any]]:
        """What is wrong with the file and its rows, or worth to be known. One query."""
        told = [(note.get("row") or 0, note) for note in self.notes]
        told += [(row.number, remark) for row in self.rows.exclude(remarks=[]) for remark in row.told_remarks]
        return [remark for _number, remark in sorted(told, key=lambda one: (one[1]["part"], one[0]))]

    def told(self, most: int) -> tuple[dict[str, list[dict[str, Any]]], Counter[str]]:
        """As `problems`, by level: the first `most` of each, and how many there are. One query, whose rows are not kept."""
        first: dict[str, list[dict[str, Any]]] = {"error": [], "warning": [], "read": [], "note": []}
        counts: Counter[str] = Counter()
        rows = self.rows.exclude(remarks=[]).order_by("part", "number").iterator(chunk_size=1000)
        for remark in chain(self.notes, (remark for row in rows for remark in row.told_remarks)):
            counts[remark["level"]] += 1
            if len(first[remark["level"]]) < most:
                first[remark["level"]].append(remark)
        return first, counts

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        self.__dict__.pop("plan", None)
        self.__dict__.pop("problems", None)
        super().refresh_from_db(*args, **kwargs)


class ImportProfileQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """A profile is its owner's. A shared one is everybody's who may import; superusers see them all."""
        access = access_of(user)
        if access.is_superuser:
            return self
        shared = Q(is_shared=True) if access.has("imports.add_importrun") else Q(pk__in=())
        return self.filter(shared | Q(owner=access.user_id))


class ImportProfile(Versioned):
    """How the files of one sender are read: which header is which column. Only its owner changes it."""

    resource = models.CharField(_("what"), max_length=40, editable=False, help_text="A key of the registry of resources.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("owner"), on_delete=models.CASCADE, related_name="import_profiles", editable=False
    )
    name = models.CharField(_("name"), max_length=80, help_text=_("Of the sender, for example."))
    is_shared = models.BooleanField(_("shared"), default=False, help_text=_("Everybody who may import the same can choose it too."))
    columns = models.JSONField(default=dict, editable=False, help_text='{part: {header as it is compared: column, or ""}}.')
    objects = ImportProfileQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("import profile")
        verbose_name_plural = _("import profiles")
        ordering = ["resource", "name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "resource", "name"],
                name="import_profile_once_per_owner",
                violation_error_message=_("You have a profile of this name already. Take another name."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class RowAction(models.TextChoices):
    NONE = "", _("not planned yet")
    CREATE = "create", _("new")
    UPDATE = "update", _("changed")
    SAME = "same", _("the same")
    HELD = "held", _("waits for another row")
    CONFLICT = "conflict", _("conflict")
    ERROR = "error", _("error")


GOOD = (RowAction.CREATE, RowAction.UPDATE, RowAction.SAME)


class RowState(models.TextChoices):
    OPEN = "open", _("not imported")
    DONE = "done", _("imported")
    UNDONE = "undone", _("taken back")
    LEFT = "left", _("left out")


class ImportRowQuerySet(models.QuerySet):
    def open(self) -> Self:
        return self.filter(state=RowState.OPEN)

    def left_out(self) -> Self:
        """Rows that somebody decided not to import."""
        return self.filter(state=RowState.LEFT)

    def leading(self) -> Self:
        """The first row of each thing: it carries what is said of the whole."""
        return self.filter(unit=models.F("number"))

    def planned(self) -> Self:
        return self.leading().filter(action__in=GOOD)

    def bad(self) -> Self:
        """Rows that cannot be imported as they are: wrong ones, those that changed meanwhile, and those held up by them."""
        return self.open().filter(action__in=(RowAction.ERROR, RowAction.CONFLICT, RowAction.HELD))


class ImportRow(models.Model):
    """One row of a file, outside of every domain table: what it says, how that was understood, and what becomes of it.

    Rows with the same `unit` are one thing (the lines of an order), written together or not at all; the first of them, whose number
    it is, carries what is said of the whole.
    """

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="rows", verbose_name=_("import"))
    part = models.PositiveSmallIntegerField(default=0, help_text="Which of the run's tables.")
    number = models.PositiveIntegerField(_("row"))
    unit = models.PositiveIntegerField(default=0)  # 0 where it is left out: it belongs to nothing then
    cells = models.JSONField(default=dict, help_text="{column: value as it stands in the file, or as it was corrected}.")
    is_corrected = models.BooleanField(_("corrected"), default=False)
    understood = models.JSONField(default=dict, help_text="{column: value as it was read, in words}.")
    action = models.CharField(_("what happens"), max_length=10, choices=RowAction, blank=True)
    what = models.CharField(max_length=60, blank=True)
    label = models.CharField(max_length=300, blank=True)
    details = models.JSONField(default=list)
    counts = models.JSONField(default=dict)
    remarks = models.JSONField(default=list, help_text="[{name, column, value, message, level, nearest}].")
    seen = models.PositiveIntegerField(null=True, help_text="The version of the row to be changed that the plan saw.")
    state = models.CharField(_("state"), max_length=8, choices=RowState, default=RowState.OPEN)
    address = models.CharField(max_length=120, blank=True, help_text="app.model:pk of what it became.")
    name = models.CharField(max_length=120, blank=True)
    after = models.PositiveIntegerField(null=True, help_text="The version that the import left.")
    undo = models.JSONField(default=dict, help_text="What taking it back needs: values from before, and rows made on the way.")
    kept_because = models.CharField(_("not taken back because"), max_length=500, blank=True)
    objects = ImportRowQuerySet.as_manager()

    class Meta:
        verbose_name = _("row of an import")
        verbose_name_plural = _("rows of imports")
        ordering = ["part", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "part", "number"], name="import_row_once_per_run")]
        indexes = [models.Index(fields=["run", "part", "unit"], name="import_row_by_unit")]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.number}"

    @property
    def leads(self) -> bool:
        return self.unit == self.number

    @property
    def sheet(self) -> str:
        """Which sheet it stood in, where the file had several."""
        tables = self.run.tables
        return tables[self.part]["sheet"] if len(tables) > 1 else ""

    @property
    def entry(self) -> dict[str, Any]:
        """What the thing becomes."""
        return {
            "sheet": self.sheet, "row": self.number, "action": self.action, "what": self.what, "label": self.label,
            "details": self.details, "counts": self.counts, "address": self.address, "name": self.name,
        }  # fmt: skip

    @property
    def told_remarks(self) -> list[dict[str, Any]]:
        return [{**remark, "row": self.number, "part": self.part, "sheet": self.sheet} for remark in self.remarks]


class Every(models.TextChoices):
    """When a saved export runs by itself."""

    NEVER = "", _("only when I ask")
    DAY = "day", _("every day")
    WEEK = "week", _("every week")


WEEKDAYS = list(DAYS.items())
HOURS = [(hour, f"{hour:02}:00") for hour in range(24)]
FORMATS = [(name, name) for name in ("xlsx", "ods", "csv", "json")]


class OwnQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """One's own, nobody else's: what the file holds is what its owner may see."""
        return self.filter(owner=access_of(user).user_id)


class SavedExport(Versioned):
    """A list with its filters, columns and format, to be had again: on demand, or at an hour of the site's clock."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("owner"), on_delete=models.CASCADE, related_name="saved_exports", editable=False
    )
    name = models.CharField(_("name"), max_length=80)
    resource = models.CharField(_("list"), max_length=80, help_text="The model's label.")
    query = models.CharField(_("filter"), max_length=2000, blank=True, help_text="The query string of the list.")
    columns = models.JSONField(_("columns"), default=list, blank=True, help_text="Names of export columns; none: all of them.")
    format = models.CharField(_("format"), max_length=5, choices=FORMATS, default="xlsx")
    language = models.CharField(_("language"), max_length=10, blank=True, editable=False)
    every = models.CharField(_("when"), max_length=5, choices=Every, blank=True, default=Every.NEVER)
    weekday = models.PositiveSmallIntegerField(_("day"), choices=WEEKDAYS, default=0, help_text=_("Of those that come every week."))
    hour = models.PositiveSmallIntegerField(_("hour"), choices=HOURS, default=6, help_text=_("By the clock of this site."))
    next_at = models.DateTimeField(_("next time"), null=True, blank=True, editable=False, db_index=True)
    objects = OwnQuerySet.as_manager()
    history = Tracked(excluded_fields=["next_at"])

    class Meta:
        verbose_name = _("saved export")
        verbose_name_plural = _("saved exports")
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class ExportState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("being made")
    DONE = "done", pgettext_lazy("export", "ready")
    FAILED = "failed", _("not made")


class ExportRunQuerySet(OwnQuerySet):
    def unfinished(self) -> Self:
        return self.filter(state__in=(ExportState.WAITING, ExportState.RUNNING))


class ExportRun(models.Model):
    """A file of a list, made by a job with the rights that its owner has at that time."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, verbose_name=_("owner"), on_delete=models.CASCADE, related_name="export_runs")
    saved = models.ForeignKey(SavedExport, null=True, on_delete=models.SET_NULL, related_name="runs", verbose_name=_("saved export"))
    title = models.CharField(_("name"), max_length=80, blank=True)
    resource = models.CharField(_("list"), max_length=80)
    query = models.CharField(_("filter"), max_length=2000, blank=True)
    columns = models.JSONField(default=list, blank=True)
    format = models.CharField(_("format"), max_length=5, choices=FORMATS)
    language = models.CharField(max_length=10, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=ExportState, default=ExportState.WAITING)
    file = models.FileField(_("file"), storage=private_storage, upload_to="exports/%Y/%m", blank=True)
    file_name = models.CharField(_("file name"), max_length=200, blank=True)
    rows_done = models.PositiveIntegerField(_("rows"), default=0)
    rows_total = models.PositiveIntegerField(default=0)
    problem = models.CharField(_("problem"), max_length=300, blank=True)
    beat_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(_("asked for at"), auto_now_add=True)
    finished_at = models.DateTimeField(_("ready at"), null=True, blank=True)
    objects = ExportRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.pk} · {self.title or self.resource.rpartition('.')[2]}"

    @property
    def is_working(self) -> bool:
        return self.state in (ExportState.WAITING, ExportState.RUNNING)

    @property
    def percent(self) -> int:
        return min(100, 100 * self.rows_done // max(self.rows_total, 1))
