"""Set the totals of a task right from its ledger: the repair that check_integrity offers."""

from typing import Any

from django.db.models import Sum

from apps.core.context import acting
from apps.workorders.models import Task, WorkEvent
from apps.workorders.services.locking import lock_task
from apps.workorders.transitions import record


def rebuild_totals(task: Task | int, *, by: Any) -> Task:
    """Write the sums of the task's events as its totals, with history and an event that says what they were. Order and task are locked.

    A task that agrees with its ledger is left alone.
    """
    with acting(by, reason="Totals rebuilt from the ledger."):
        fresh = lock_task(task, by=by)
        sums = WorkEvent.objects.filter(task=fresh).aggregate(good=Sum("good", default=0), scrap=Sum("scrap", default=0))
        changed = {name: [getattr(fresh, name), total] for name, total in sums.items() if getattr(fresh, name) != total}
        if changed:
            fresh.good, fresh.scrap = sums["good"], sums["scrap"]
            fresh.save()
            record(fresh.order, "rebuild", by=by, task=fresh, data=changed)
        return fresh
