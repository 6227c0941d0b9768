"""The only list of periodic jobs. `sync` makes the queue's table agree with it."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_q.models import Schedule

from apps.core.jobs import RUN


@dataclass(frozen=True)
class Periodic:
    """A job that runs every `minutes`, or at the times of a `cron` line (in the site's time zone). `purpose` says what it is for."""

    job: str
    purpose: Any
    minutes: int | None = None
    cron: str | None = None

    @property
    def row(self) -> dict:
        """The values of its Schedule row, except when it runs next."""
        kind = Schedule.CRON if self.cron else Schedule.MINUTES
        call = {"func": RUN, "args": repr(self.job), "kwargs": "{'alone': True}"}
        return call | {"schedule_type": kind, "minutes": self.minutes, "cron": self.cron, "repeats": -1}


PERIODIC = (
    Periodic("workorders.sweep", _("Dispatch tasks whose dispatch was lost"), minutes=1),
    Periodic("workorders.expire_shares", _("End the shares that ran out"), minutes=10),
    Periodic("scanning.sweep", _("Apply scans that were left waiting"), minutes=2),
    Periodic("ops.give_up", _("Give up the jobs that nobody works on"), minutes=10),
    Periodic("core.purge", _("Throw away records that were kept long enough"), cron="20 3 * * *"),
    Periodic("imports.sweep", _("Go on with imports that were interrupted"), minutes=1),
    Periodic("imports.purge", _("Throw away old plans and files of imports and exports"), minutes=60),
    Periodic("imports.exports_due", _("Start the saved exports whose hour has come"), minutes=5),
    Periodic("ops.backup", _("Make a backup and prove it"), cron="0 2 * * *"),
    Periodic("ops.watch_backups", _("Warn where no backup was proved"), minutes=30),
)


def differences() -> list[str]:
    """The names of the schedules that are missing, changed or ours no longer. One query."""
    rows = {row["name"]: row for row in Schedule.objects.filter(func=RUN).values("name", *PERIODIC[0].row)}
    wanted = {periodic.job: {"name": periodic.job, **periodic.row} for periodic in PERIODIC}
    return sorted(name for name in wanted.keys() | rows.keys() if wanted.get(name) != rows.get(name))


def sync() -> list[str]:
    """Write the list into the queue's table; a schedule that stays as it was keeps its next run. Says which ones changed."""
    changed = differences()
    wanted = {periodic.job: periodic for periodic in PERIODIC}
    for name in changed:
        Schedule.objects.filter(func=RUN, name=name).delete()
        if name in wanted:
            Schedule.objects.create(name=name, next_run=timezone.now(), **wanted[name].row)
    return changed
