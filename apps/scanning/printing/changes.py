"""What changed on an order since its paper was printed, told from the history."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db.models import CharField, F, QuerySet, Value
from django.db.models.functions import Coalesce, JSONObject, NullIf
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from apps.catalog.models import ToolKind
from apps.core.changes import history_of
from apps.core.units import Unit
from apps.scanning.codes import REVISIONS
from apps.workorders.models import OrderLine, OrderMaterial, Step, WorkOrder
from apps.workorders.templatetags.docket_pages import plain_amount

MOST = 12  # sentences; who reads them stands at a machine
LONGEST = 120
# What the paper says of the order itself; the longest text is only said to have changed. No person: who reads this may be
# a handheld that nobody is signed in on.
FIELDS = (
    "external_number", "customer", "priority", "order_date", "due_date", "run_quantity", "allowance", "printing_type",
    "process_colours", "spot_colours", "ups",
)  # fmt: skip


@dataclass(frozen=True)
class State:
    """One state of the order, or of a line, material, tool or step of it, from its history. `has` are the values."""

    kind: str
    pk: int
    row: int
    at: datetime
    type: str
    request: str
    has: dict[str, Any]

    def __str__(self) -> str:
        name = self.has["name"] or _("deleted")
        if self.kind == "tool":
            return f"{name} v{self.has['number']} ({_choice(ToolKind, self.has['kind'])})"
        number = self.has["number"]
        amount = f"{plain_amount(Decimal(str(number)))} {_choice(Unit, self.has['unit'])}".strip() if number is not None else ""
        if self.kind == "line":
            return ", ".join(filter(None, [f"{name} × {amount}", self.has["specification"], self.has["notes"]]))
        cut = _("to be cut") if self.has["cut"] else ""
        return ", ".join(filter(None, [f"{name} {self.has['size']}".strip(), amount, cut]))

    @property
    def label(self) -> str:
        """A process's name in the reader's language."""
        zh = self.has["zh"] if (get_language() or "").startswith("zh") else ""
        return zh or self.has["name"] or _("deleted")


def _choice(choices: Any, value: Any) -> str:
    return str(choices(value).label) if value in choices.values else str(value or "")


def what_changed(order: WorkOrder, since_revision: int) -> list[str]:
    """Sentences on what is other now than on a paper of `since_revision` (modulo 4096, as its code tells it).

    None where the paper is right. One sentence that says only that it is old, where the history does not reach back. One query.
    """
    paper = order.revision - (order.revision - since_revision) % REVISIONS
    if paper == order.revision:
        return []
    states = _states(order, paper)
    orders = [state for state in states if state.kind == "order"]
    then = _as_printed(orders, paper)
    told = [*_of_order(then, orders[-1]), *_of_parts(states, then, orders[-1])] if then else []
    if not told:
        return [_("The order was changed after this paper was printed. Print a new ticket.")]
    if len(told) > MOST:
        told = [*told[: MOST - 1], _("And %(count)s more.") % {"count": len(told) - MOST + 1}]
    return told


def _as_printed(orders: Sequence[State], paper: int) -> State | None:
    """The order's last state of revision `paper`; None where there is none.

    An edit that leads to the next revision writes its tools first, still under the old one: those states are not it.
    """
    then = [state for state in orders if state.has["revision"] == paper]
    later = next((state for state in orders if state.has["revision"] > paper), None)
    while len(then) > 1 and later and then[-1].request == later.request != "":
        then.pop()
    return then[-1] if then else None


def _of_order(then: State, now: State) -> Iterator[str]:
    for name in FIELDS:
        if then.has[name] != now.has[name]:
            field = WorkOrder._meta.get_field(name)
            yield _other(str(field.verbose_name), _told(field, now.has[name]), _told(field, then.has[name]))
    if then.has["instructions"] != now.has["instructions"]:
        yield _("The instructions were changed. Read them on the order.")


def _told(field: Any, value: Any) -> str:
    """A value of the order, as people read it."""
    if field.choices:
        return str(dict(field.flatchoices).get(value, value))
    return number_format(value, force_grouping=True) if isinstance(value, int) else str(value or "")


def _other(what: str, new: str, old: str) -> str:
    values = {"what": capfirst(what), "new": new[:LONGEST], "old": old[:LONGEST]}
    if not new:
        return _("%(what)s: empty now; the paper says %(old)s.") % values
    if not old:
        return _("%(what)s: %(new)s; the paper says nothing.") % values
    return _("%(what)s: %(new)s; the paper says %(old)s.") % values


def _of_parts(states: Sequence[State], then: State, now: State) -> Iterator[str]:
    def present(kind: str, *, at_printing: bool) -> list[State]:
        last: dict[int, State] = {}
        for state in states:
            # What was there when the order's own state was written: before it, or by the same edit.
            if state.kind == kind and (not at_printing or state.at <= then.at or state.request == then.request != ""):
                last[state.pk] = state
        return sorted((state for state in last.values() if state.type != "-"), key=lambda state: state.pk)

    for kind, name in (("line", OrderLine._meta.verbose_name), ("material", OrderMaterial._meta.verbose_name)):
        yield from _of_rows(str(name), present(kind, at_printing=True), present(kind, at_printing=False))
    tools = [[state for state in states if state.kind == "tool" and state.pk == one.row] for one in (then, now)]
    yield from _added_and_removed(_("Tool"), *(Counter(map(str, found)) for found in tools))
    yield from _of_steps(present("step", at_printing=True), present("step", at_printing=False))


def _of_rows(what: str, then: Sequence[State], now: Sequence[State]) -> Iterator[str]:
    """Lines or materials: the same row with other entries is a change, other rows come and go."""
    old, new = {state.pk: str(state) for state in then}, {state.pk: str(state) for state in now}
    for pk in new:
        if pk in old and old[pk] != new[pk]:
            yield _other(what, new[pk], old[pk])
    gone, come = (Counter(text for pk, text in texts.items() if pk not in others) for texts, others in ((old, new), (new, old)))
    yield from _added_and_removed(capfirst(what), gone, come)


def _added_and_removed(what: str, then: Counter, now: Counter) -> Iterator[str]:
    for name in (now - then).elements():
        yield _("%(what)s added: %(name)s.") % {"what": what, "name": name[:LONGEST]}
    for name in (then - now).elements():
        yield _("%(what)s left out: %(name)s.") % {"what": what, "name": name[:LONGEST]}


def _of_steps(then: Sequence[State], now: Sequence[State]) -> Iterator[str]:
    """Steps are made anew when the route changes: they are the same by their process and how often it came before."""
    old, new = ({key: state.has["number"] for key, state in _numbered(steps)} for steps in (then, now))
    yield from _added_and_removed(_("Step"), *(Counter(name for name, _count in steps) for steps in (old, new)))
    for key in new:
        if key in old and new[key] != old[key]:
            numbers = [number_format(steps[key], force_grouping=True) for steps in (new, old)]
            yield _other(_("%(process)s, planned") % {"process": key[0]}, *numbers)
    if Counter(old.keys()) == Counter(new.keys()) and list(old) != list(new):
        yield _("The steps come in another order now: %(steps)s.") % {"steps": " > ".join(name for name, _count in new)[:LONGEST]}


def _numbered(steps: Sequence[State]) -> Iterator[tuple[tuple[str, int], State]]:
    seen: Counter = Counter()
    for state in sorted(steps, key=lambda state: state.has["sequence"]):
        seen[state.label] += 1
        yield (state.label, seen[state.label]), state


def _states(order: WorkOrder, paper: int) -> list[State]:
    """The order's states since revision `paper`, with the tools of each, and every state of its lines, materials and steps.

    In the order of their history. One query: a scanner waits for it.
    """
    fields = {name: F(name) for name in (*FIELDS, "instructions", "revision") if name != "customer"}
    own = history_of(WorkOrder).filter(id=order.pk, revision__gte=paper)
    tools = apps.get_model("workorders", "HistoricalWorkOrder_tools").objects.filter(history__in=own.order_by().values("history_id"))
    kinds = [
        ("order", own, "id", "", fields | {"customer": F("customer__name")}),
        ("line", _history_of(OrderLine, order), "id", "", {
            "name": F("product__name"), "number": F("quantity"), "specification": F("specification"), "notes": F("notes"),
            "unit": Coalesce(NullIf(F("unit"), Value("")), F("product__unit")),
        }),
        ("material", _history_of(OrderMaterial, order), "id", "", {
            "name": F("name"), "size": F("size"), "number": F("amount"), "unit": F("unit"), "cut": F("needs_cutting"),
        }),
        ("step", _history_of(Step, order), "id", "", {
            "name": F("process__name"), "zh": F("process__name_zh"), "number": F("planned"), "sequence": F("sequence"),
        }),
        ("tool", tools, "history_id", "history__", {"name": F("tool__code"), "number": F("tool__revision"), "kind": F("tool__kind")}),
    ]  # fmt: skip
    rows = [
        history.order_by().values_list(
            Value(kind, CharField()),
            pk,
            f"{at}history_id",
            f"{at}history_date",
            f"{at}history_type",
            f"{at}request_id",
            JSONObject(**values),
        )
        for kind, history, pk, at, values in kinds
    ]
    return sorted((State(*row) for row in rows[0].union(*rows[1:], all=True)), key=lambda state: state.row)


def _history_of(model: Any, order: WorkOrder) -> QuerySet:
    return history_of(model).filter(order=order.pk)
