"""How a test scans: codes of rows, items as a client sends them, and senders."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.scanning.codes import Kind, encode
from apps.scanning.models import Badge, Scan
from apps.workorders.models import Task, WorkOrder

KINDS = {Task: Kind.TASK, WorkOrder: Kind.ORDER, Badge: Kind.BADGE}


def code_of(row: Any) -> str:
    """The code of a task, an order or a badge."""
    return encode(KINDS[type(row)], row.pk)


def paper_of(row: Any, revision: int) -> str:
    """The code of a task or an order as the ticket of that revision has it."""
    return encode(Kind.TASK_PAPER if isinstance(row, Task) else Kind.ORDER_PAPER, row.pk, revision)


def item(thing: Any, verb: str = "", **values: Any) -> dict[str, Any]:
    """One scan of a row (or of a code as a text) with a key of its own."""
    code = thing if isinstance(thing, str) else code_of(thing)
    return {"client_event_id": str(uuid.uuid4()), "code": code, "verb": verb} | values


def moment(minutes_ago: float = 0, *, clock: timedelta = timedelta()) -> str:
    """So long ago, as a handheld whose clock is off by `clock` writes it."""
    return (timezone.now() - timedelta(minutes=minutes_ago) + clock).isoformat()


def send(api: Any, sent: dict[str, Any], **headers: Any) -> Any:
    return api.post("/api/scans/", sent, format="json", **headers)


def send_batch(api: Any, items: list, device_time: datetime | str | None = None) -> Any:
    body = {"items": items} | ({"device_time": device_time} if device_time else {})
    return api.post("/api/scans/batch/", body, format="json")


def results(answer: Any) -> list[str]:
    """What became of each item of a batch."""
    assert answer.status_code == 200, answer.content
    return [one["result"] for one in answer.json()["results"]]


def told(answer: Any) -> tuple[int, str, str]:
    """(status, result, code) of the answer to one scan."""
    body = answer.json()
    return answer.status_code, body["result"], body["code"]


def stored(sent: dict[str, Any]) -> Scan:
    return Scan.objects.get(client_event_id=sent["client_event_id"])


def counted(task: Task) -> tuple[int, int]:
    """(good, scrap) of the task now."""
    task.refresh_from_db()
    return task.good, task.scrap


def broken() -> list[str]:
    """The names of the invariants that do not hold, of all."""
    from apps.ops.integrity import run_checks

    return [finding.check.name for finding in run_checks() if not finding.is_ok]
