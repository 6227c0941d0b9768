"""The verbs of a work order."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import Membership
from apps.accounts.roles import Role
from apps.catalog.models import Tool
from apps.core.context import acting
from apps.core.depending import refuse_if_needed
from apps.core.errors import InvalidInput, RuleError, StaleEdit
from apps.core.jobs import enqueue
from apps.core.validation import validated
from apps.notices.services import notify
from apps.workorders.checks import problems_before_submit
from apps.workorders.generation import default_runs, regenerate
from apps.workorders.models import OrderLine, OrderMaterial, Step, Task, WorkOrder
from apps.workorders.moves import require_order
from apps.workorders.services.creation import check_choices, create_order, newest_tools
from apps.workorders.services.locking import lock_order, reason_text
from apps.workorders.services.rollup import end_step, roll_up_order
from apps.workorders.states import ORDER_RUNNING, STEP_ENDED, TASK_ENDED, OrderStatus, TaskStatus
from apps.workorders.transitions import _apply, record, refuse_unless_possible

# What an edit may set; everything else is a verb's.
FIELDS = (
    "external_number", "customer_id", "maker_id", "priority", "order_date", "due_date", "run_quantity", "allowance", "over_tolerance",
    "under_tolerance", "route_id", "steps_text", "printing_type", "process_colours", "spot_colours", "ups", "instructions",
)  # fmt: skip


def _write_parts(order: WorkOrder, parts: Sequence[Any], model: Any) -> None:
    """Save `parts` as all of the order's parts of that model: those with a pk are changed, others added, missing ones removed."""
    present = {part.pk: part for part in model.objects.filter(order=order)}
    for part in parts:
        if part.pk and part.pk not in present:
            raise InvalidInput(_("A line of the form belongs to another order. Load the page again."), code="foreign_part")
        part.order = order
        validated(part, exclude=["order"])
    kept = {part.pk for part in parts if part.pk}
    for pk in present.keys() - kept:
        present[pk].delete()
    for part in parts:
        if part.pk is None or _differs(part, present[part.pk]):
            part.save()


def _differs(part: Any, stored: Any) -> bool:
    names = [field.attname for field in part._meta.concrete_fields if field.name not in ("version", "order")]
    return any(getattr(part, name) != getattr(stored, name) for name in names)


def refuse_unless_editable(order: WorkOrder, *, by: Any) -> None:
    """Raise PermissionDenied or RuleError, with the way out, unless `by` may revise the order as it stands. No query."""
    require_order(by, "edit", order)
    if order.status in (*ORDER_RUNNING, OrderStatus.ON_HOLD):
        message = _("Order %(number)s is %(status)s, and its values stay as they are. Cancel it, and change a copy of it.")
        raise RuleError(message % {"number": order.number, "status": order.get_status_display()}, code="wrong_state", status=order.status)
    if not order.is_editable:
        refuse_unless_possible(order, "submit")


def revise_order(
    order: WorkOrder,
    *,
    lines: Sequence[OrderLine] | None = None,
    materials: Sequence[OrderMaterial] | None = None,
    tools: Iterable[Tool] | None = None,
    by: Any,
    version: int | None = None,
) -> WorkOrder:
    """Save an edited draft or rejected order and bring its tasks in line. None leaves a list of parts as it is.

    `order` carries the new values; `version` is what the editor saw. Raises StaleEdit when somebody saved in between.
    """
    with acting(by):
        fresh = lock_order(order, by=by)
        refuse_unless_editable(fresh, by=by)
        if version is not None and fresh.version != version:
            raise StaleEdit(_("Order %(number)s was changed meanwhile. Look at the change and save again.") % {"number": fresh.number})
        before = {name: getattr(fresh, name) for name in FIELDS}
        old_lines = list(fresh.lines.all())
        computed = fresh.run_quantity == default_runs(old_lines, fresh.ups)
        for name in FIELDS:
            setattr(fresh, name, getattr(order, name))
        new_lines = old_lines if lines is None else list(lines)
        if not fresh.run_quantity or (computed and fresh.run_quantity == before["run_quantity"]):
            fresh.run_quantity = default_runs(new_lines, fresh.ups or 1)
        if fresh.customer_id != before["customer_id"] or fresh.maker_id != before["maker_id"]:
            (refusal,) = check_choices([fresh], by=by)
            if refusal:
                raise refusal
        validated(fresh, exclude=["number", "created_by"])
        if lines is not None:
            _write_parts(fresh, new_lines, OrderLine)
        if materials is not None:
            _write_parts(fresh, list(materials), OrderMaterial)
        if tools is not None:
            fresh.tools.set(tools)
        fresh.revision += 1
        fresh.save()
        regenerate(fresh)
        changed = {
            name.removesuffix("_id"): [str(before[name]), str(getattr(fresh, name))]
            for name in FIELDS
            if getattr(fresh, name) != before[name]
        }
        record(fresh, "revise", by=by, data={"changed": changed, "revision": fresh.revision})
        return fresh


def copy_order(order: WorkOrder, *, by: Any) -> WorkOrder:
    """A new draft with the same lines, materials and tools: a repeat job. Dates start anew; newer confirmed tools replace old ones."""
    with acting(by):
        source = lock_order(order, by=by)
        require_order(by, "copy", source)
        values = {name: getattr(source, name) for name in FIELDS if name not in ("external_number", "due_date", "order_date", "maker_id")}
        lines = [
            OrderLine(product=line.product, quantity=line.quantity, unit=line.unit, specification=line.specification, notes=line.notes)
            for line in source.lines.select_related("product")
        ]
        materials = [
            OrderMaterial(name=one.name, size=one.size, amount=one.amount, unit=one.unit, needs_cutting=one.needs_cutting)
            for one in source.materials.all()
        ]
        tools = {(tool.kind, tool.code): tool for tool in source.tools.all()}
        tools |= {(tool.kind, tool.code): tool for tool in newest_tools(source, lines)}
        maker = None if access_of(by).roles & {Role.MAKER, Role.SALESPERSON} else source.maker
        return create_order(
            WorkOrder(**values, maker=maker, copied_from=source), lines=lines, materials=materials, tools=tools.values(), by=by
        )


def delete_order(order: WorkOrder, *, by: Any) -> None:
    """Delete a draft or rejected order. Its events and history stay."""
    with acting(by):
        fresh = lock_order(order, by=by)
        require_order(by, "delete", fresh)
        if not fresh.is_editable:
            refuse_unless_possible(fresh, "submit")
        record(fresh, "delete", by=by, from_status=fresh.status)
        fresh.delete()


def withdraw_order(order: WorkOrder, *, imported: int, by: Any) -> None:
    """Delete an order that import `imported` made and that nobody did anything with since. Raises RuleError with the reason else."""
    with acting(by):
        fresh = lock_order(order, by=by)
        since = fresh.events.exclude(import_run=imported).select_related("actor").order_by("pk").first()
        if since is not None:
            told = {"number": fresh.number, "who": since.actor, "when": timezone.localtime(since.at).strftime("%Y-%m-%d %H:%M")}
            raise RuleError(_("%(who)s worked on order %(number)s after the import, on %(when)s.") % told, code="changed")
        refuse_if_needed(fresh, by=by, parts=(OrderLine, Step, Task))
        delete_order(fresh, by=by)


def submit_order(order: WorkOrder, *, by: Any) -> WorkOrder:
    """Hand the order over for approval. Raises InvalidInput with everything that is missing."""
    with acting(by):
        fresh = lock_order(order, by=by)
        require_order(by, "submit", fresh)
        refuse_unless_possible(fresh, "submit")
        regenerate(fresh)
        problems = problems_before_submit(fresh)
        if problems:
            raise InvalidInput(problems=problems, code="incomplete")
        _apply(fresh, "submit", OrderStatus.SUBMITTED, by=by, submitted_by=by, submitted_at=timezone.now())
        notify(_deciders(fresh), "order_submitted", url=fresh.get_absolute_url(), number=fresh.number)
        return fresh


def _deciders(order: WorkOrder) -> set[int]:
    """Who is asked to approve: the customer's salesperson, or, where that is the maker himself, the leads of its departments."""
    own = {order.maker_id, order.submitted_by_id}
    salesperson = {order.customer.salesperson_id} - own - {None}
    return salesperson or _leads(order) - own


def _leads(order: WorkOrder) -> set[int]:
    departments = order.tasks.exclude(department=None).values("department")
    return set(Membership.objects.leading(departments).values_list("user", flat=True))


def _concerned(order: WorkOrder) -> set[int | None]:
    return {order.maker_id, order.created_by_id, order.customer.salesperson_id if order.customer else None}


def _holders(order: WorkOrder) -> set[int]:
    """The operators of the order's open tasks."""
    return set(order.tasks.open().exclude(operator=None).values_list("operator", flat=True))


def _tell(order: WorkOrder, kind: str, holders: set[int], **params: str) -> None:
    """Tell the office, with a link to the order, and the floor, which may not see the order, with one to its own tasks."""
    office = _concerned(order)
    notify(office, kind, url=order.get_absolute_url(), number=order.number, **params)
    notify(holders - office, kind, url=reverse("admin:workorders_task_changelist"), number=order.number, **params)


def approve_order(order: WorkOrder, *, by: Any, comment: str = "") -> WorkOrder:
    """Approve: draft tasks become pending, which is the written need for dispatch; the job is only hinted at."""
    comment = reason_text(comment, what=_("Approving"), required=False)
    with acting(by, reason=comment):
        fresh = lock_order(order, by=by)
        require_order(by, "approve", fresh)
        refuse_unless_possible(fresh, "approve")
        problems = problems_before_submit(fresh)
        if problems:
            raise InvalidInput(problems=problems, code="incomplete")
        _apply(fresh, "approve", OrderStatus.APPROVED, by=by, event={"reason": comment}, approved_by=by, approved_at=timezone.now())
        for task in Task.objects.filter(order=fresh, status=TaskStatus.DRAFT).select_related("step").locked():
            task.order = fresh
            _apply(task, "queue", TaskStatus.PENDING, by=by)
        notify({fresh.maker_id, fresh.submitted_by_id}, "order_approved", url=fresh.get_absolute_url(), number=fresh.number)
        enqueue("workorders.dispatch", fresh.pk)
        return fresh


def reject_order(order: WorkOrder, *, by: Any, reason: str) -> WorkOrder:
    """Send the order back with a reason."""
    reason = reason_text(reason, what=_("Rejecting an order"))
    with acting(by, reason=reason):
        fresh = lock_order(order, by=by)
        require_order(by, "reject", fresh)
        _apply(fresh, "reject", OrderStatus.REJECTED, by=by, event={"reason": reason})
        notify({fresh.maker_id, fresh.submitted_by_id}, "order_rejected", url=fresh.get_absolute_url(), number=fresh.number, reason=reason)
        return fresh


def hold_order(order: WorkOrder, *, by: Any, reason: str) -> WorkOrder:
    """Stop the order: nothing is started until it is resumed. What is running may still be reported, so no piece is lost."""
    reason = reason_text(reason, what=_("Holding an order"))
    with acting(by, reason=reason):
        fresh = lock_order(order, by=by)
        require_order(by, "hold", fresh)
        refuse_unless_possible(fresh, "hold")
        _apply(fresh, "hold", OrderStatus.ON_HOLD, by=by, event={"reason": reason}, status_before_hold=fresh.status)
        _tell(fresh, "order_held", _holders(fresh), reason=reason)
        return fresh


def resume_order(order: WorkOrder, *, by: Any) -> WorkOrder:
    """Go on where the order was held."""
    with acting(by):
        fresh = lock_order(order, by=by)
        require_order(by, "resume", fresh)
        refuse_unless_possible(fresh, "resume")
        _apply(fresh, "resume", fresh.status_before_hold, by=by, status_before_hold="")
        _tell(fresh, "order_resumed", _holders(fresh))
        roll_up_order(fresh, by=by)
        if fresh.status in ORDER_RUNNING:
            enqueue("workorders.dispatch", fresh.pk)
        return fresh


def cancel_order(order: WorkOrder, *, by: Any, reason: str) -> WorkOrder:
    """Cancel the order and all its tasks that have not ended. What was reported stays."""
    reason = reason_text(reason, what=_("Cancelling an order"))
    with acting(by, reason=reason):
        fresh = lock_order(order, by=by)
        require_order(by, "cancel", fresh)
        refuse_unless_possible(fresh, "cancel")
        holders = _holders(fresh)
        for task in Task.objects.filter(order=fresh).exclude(status__in=TASK_ENDED).select_related("step").locked():
            task.order = fresh
            _apply(task, "cancel", TaskStatus.CANCELLED, by=by, event={"reason": reason})
        for step in fresh.steps.locked().exclude(status__in=STEP_ENDED):
            step.order = fresh
            end_step(step, by=by, is_done=step.tasks.filter(status=TaskStatus.COMPLETED).exists())
        _apply(fresh, "cancel", OrderStatus.CANCELLED, by=by, event={"reason": reason})
        _tell(fresh, "order_cancelled", holders, reason=reason)
        return fresh


def reopen_order(order: WorkOrder, *, by: Any, reason: str) -> WorkOrder:
    """Open a completed order again, so that its reports can be corrected and its tasks taken up again."""
    reason = reason_text(reason, what=_("Reopening an order"))
    with acting(by, reason=reason):
        fresh = lock_order(order, by=by)
        require_order(by, "reopen", fresh)
        _apply(fresh, "reopen", OrderStatus.IN_PROGRESS, by=by, event={"reason": reason}, completed_at=None)
        notify(_concerned(fresh), "order_reopened", url=fresh.get_absolute_url(), number=fresh.number, reason=reason)
        return fresh


def receive_material(material: OrderMaterial, *, by: Any) -> OrderMaterial:
    """Say that the material is here. Steps that wait for it may start."""
    with acting(by):
        order = lock_order(material.order_id, by=by)
        require_order(by, "receive", order)
        fresh = OrderMaterial.objects.locked().get(pk=material.pk)
        if fresh.received_at:
            raise RuleError(_("Material %(material)s is received already.") % {"material": fresh}, code="already_received")
        fresh.received_at, fresh.received_by = timezone.now(), by
        fresh.save()
        record(order, "receive", by=by, data={"material": str(fresh)})
        return fresh
