"""A word of its own in every text of the shop, and which of them a person may read.

What a person may read: every text of the rows that `visible_to` gives him, and the names (not more) of what these rows point
to: the customer of his task, the operator beside him. Any other word that reaches him is a leak.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from django.apps import apps
from django.db.models import CharField, Model, TextField

from apps.accounts.models import Department, User
from apps.accounts.services import system_user
from apps.catalog.models import Customer, Process, Product, Route, Tool
from apps.core.querysets import ScopedQuerySet
from apps.dispatch.models import DispatchDecision
from apps.imports.models import ExportRun, ImportProfile, ImportRun, SavedExport
from apps.notices.models import Notice
from apps.scanning.models import Device, LinkedCode, Scan
from apps.workorders.models import OrderLine, OrderMaterial, Task, WorkEvent, WorkOrder
from tests import factories

PREFIX = "zq"
WORD = re.compile(rb"zq[0-9a-f]{8}zq")
PLANTED = [
    Department, User, Customer, Process, Route, Product, Tool, ImportRun, ImportProfile, Notice, WorkOrder, OrderLine, OrderMaterial, Task,
    Device, Scan, LinkedCode, SavedExport, ExportRun,
]  # fmt: skip
# Texts that machines read: a word in them would break the row, not tell on it.
MACHINE = {
    "password", "kind", "source_key", "steps_text", "status_before_hold", "file", "sha256", "url", "resource", "process_colours", "digest",
    "verb", "source", "outcome_code",
}  # fmt: skip
# By what a row is called where another one points to it.
NAMES = {
    Department: {"code", "name", "name_zh"},
    User: {"username", "name"},
    Customer: {"code", "name"},
    Process: {"code", "name", "name_zh"},
    Route: {"code", "name"},
    Product: {"code", "name", "specification"},
    Tool: {"code", "name"},
    WorkOrder: {"number", "external_number", "instructions", "spot_colours"},  # a task tells these of its order
    OrderLine: {"specification", "notes"},
    OrderMaterial: {"name", "size"},
    ImportRun: {"file_name"},
    Device: {"name"},
}


@dataclass
class Canaries:
    """Where each word is: word -> (model, pk, field)."""

    where: dict[str, tuple[type[Model], int, str]] = field(default_factory=dict)

    def word(self, model: type[Model], pk: int, name: str) -> str:
        word = f"{PREFIX}{len(self.where) + 1:08x}{PREFIX}"
        self.where[word] = (model, pk, name)
        return word

    def allowed(self, user: Any) -> set[str]:
        """The words that `user` may read."""
        if user is None:
            return set()
        rows = {model: set(model._default_manager.visible_to(user).values_list("pk", flat=True)) for model in scoped_models()}
        named = {(type(one), one.pk) for model in rows for row in model._default_manager.visible_to(user) for one in pointed_to(row)}
        return {
            word
            for word, (model, pk, name) in self.where.items()
            if pk in rows.get(model, ()) or (name in NAMES.get(model, ()) and (model, pk) in named)
        }

    def leaks(self, text: bytes, allowed: set[str]) -> set[str]:
        """What of `text` should not be there, as model.field of row."""
        found = {word.decode() for word in WORD.findall(text)} - allowed
        return {f"{self.where[word][0].__name__}.{self.where[word][2]} of {self.where[word][1]}" for word in found if word in self.where}


def scoped_models() -> list[type[Model]]:
    ours = [model for model in apps.get_models() if model.__module__.startswith("apps.") and not model.__name__.startswith("Historical")]
    return [model for model in ours if isinstance(model._default_manager.get_queryset(), ScopedQuerySet)]


def pointed_to(row: Model) -> Iterator[Model]:
    """What the row names: what its keys point to, who changed it, and for tasks and orders what the job is about."""
    for key in row._meta.get_fields():
        if key.is_relation and key.concrete and key.related_model in NAMES:
            yield from getattr(row, key.name).all() if key.many_to_many else filter(None, [getattr(row, key.name)])
    if hasattr(type(row), "history"):
        yield from (one.history_user for one in row.history.select_related("history_user") if one.history_user)
    order = row.order if isinstance(row, Task | WorkEvent) else row if isinstance(row, WorkOrder) else None
    if order is not None:
        yield from filter(None, [order.customer, order.maker])
        for line in order.lines.select_related("product"):
            yield from (line, line.product)
    if isinstance(row, Task | WorkEvent) and (task := row if isinstance(row, Task) else row.task):
        yield task.step.process
        yield from task.order.tools.all()
        yield from task.order.materials.all()
        yield from (event.actor for event in task.events.select_related("actor"))
    if isinstance(row, WorkOrder):
        yield from (step.process for step in row.steps.select_related("process"))
        yield from (event.actor for event in row.events.filter(task=None).select_related("actor"))


def texts_of(model: type[Model]) -> list[Any]:
    return [
        one
        for one in model._meta.concrete_fields
        if isinstance(one, CharField | TextField) and not one.choices and one.name not in MACHINE and (one.max_length or 99) > 12
    ]


def _plant_rows(canaries: Canaries, run: ImportRun) -> None:
    """A row to be imported, a wrong one and one that was not taken back, with words in everything that pages show of them."""
    for number, action, state in ((2, "create", "open"), (3, "error", "open"), (4, "create", "done")):
        remark = {
            "name": "",
            "column": "A",
            "value": "",
            "level": "error",
            "nearest": "",
            "message": canaries.word(ImportRun, run.pk, "remark"),
        }
        factories.ImportRowFactory(
            run=run, number=number, action=action, state=state, label=canaries.word(ImportRun, run.pk, "label"),
            cells={"code": canaries.word(ImportRun, run.pk, "cell")}, details=[canaries.word(ImportRun, run.pk, "detail")],
            address="catalog.customer:987654321",
            remarks=[remark] if action == "error" else [], kept_because=canaries.word(ImportRun, run.pk, "kept") if state == "done" else "",
        )  # fmt: skip


def plant() -> Canaries:
    """Overwrite every text of every row, and of its history, with words; add an event with words to every order and task."""
    canaries, system = Canaries(), system_user()
    for model in PLANTED:
        fields = texts_of(model)
        for row in model._base_manager.exclude(pk=system.pk) if model is User else model._base_manager.all():
            values: dict[str, Any] = {one.name: canaries.word(model, row.pk, one.name) for one in fields}
            if model is Notice:
                values["params"] = {name: canaries.word(model, row.pk, name) for name in ("number", "order", "reason")} | {"percent": 1}
            if model is ImportRun:
                _plant_rows(canaries, row)
            model._base_manager.filter(pk=row.pk).update(**values)
            if model is Scan:
                values["raw"] = {"code": canaries.word(model, row.pk, "raw")}
                values["answer"] = {"result": "held", "code": "late", "detail": canaries.word(model, row.pk, "answer")}
            if hasattr(model, "history"):
                kept = {name: value for name, value in values.items() if name in {one.name for one in model.history.model._meta.fields}}
                reason = canaries.word(model, row.pk, "history_change_reason")
                model.history.filter(id=row.pk).update(**kept, history_change_reason=reason)
    for decision in DispatchDecision.objects.all():
        word = canaries.word(DispatchDecision, decision.pk, "reasons")
        decision.reasons = [["person_because", {"actor": word, "reason": word}]]
        decision.candidates = [{"kind": "department", "id": 1, "name": word, "load": 1, "verdict": "chosen"}]
        decision.save()
    keys = count(10**9)  # far above what the database's own sequence gives, which a key of ours does not move
    for order in WorkOrder.objects.all():
        for task in [None, *order.tasks.all()]:
            event = factories.WorkEventFactory.build(order=order, task=task, order_number=order.number, actor=order.created_by)
            event.pk = next(keys)
            event.reason, event.note = (canaries.word(WorkEvent, event.pk, name) for name in ("reason", "note"))
            event.data = {"operator": [canaries.word(WorkEvent, event.pk, "data"), None]}
            event.save(force_insert=True)
    assert all(WORD.fullmatch(word.encode()) for word in canaries.where)
    return canaries


def body_of(response: Any) -> bytes:
    """Headers and body as one text; the parts of a zip (xlsx) unpacked."""
    import io
    import zipfile

    body = b"".join(response.streaming_content) if response.streaming else response.content
    head = json.dumps(dict(response.items())).encode()
    if body.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            body = b"".join(archive.read(name) for name in archive.namelist())
    return head + b"\n" + body
