"""The verbs of a task, but for its reports."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import Department, Membership, User
from apps.core.context import acting
from apps.core.errors import InvalidInput, RuleError
from apps.notices.services import notify
from apps.workorders.models import ReasonCode, Task
from apps.workorders.moves import require_task
from apps.workorders.readiness import what_step_misses
from apps.workorders.services.dispatching import decide
from apps.workorders.services.locking import lock_task, reason_text, whole_number
from apps.workorders.services.rollup import begin_step, roll_up
from apps.workorders.states import ORDER_RUNNING, TASK_HELD, TASK_OPEN, TaskStatus
from apps.workorders.transitions import _apply, one_insert, record, refuse_unless_possible


def require_running(task: Task) -> None:
    """Nothing is taken up on an order that is held, or not approved."""
    if task.order.status not in ORDER_RUNNING:
        raise RuleError(
            _("Order %(number)s is %(status)s, so nothing is started on it. Ask your supervisor.")
            % {"number": task.order.number, "status": task.order.get_status_display()},
            code="order_not_running",
        )


def claim_task(task: Task, *, by: Any) -> Task:
    """Take a task from the queue for oneself. Raises RuleError `already_claimed`, naming who has it."""
    with acting(by):
        fresh = lock_task(task, by=by)
        _claim(fresh, by=by)
        return fresh


def _claim(task: Task, *, by: Any) -> None:
    require_task(by, "claim", task)
    if task.status in TASK_HELD:
        message = (
            _("You have task %(number)s already.") if task.operator_id == by.pk else _("Task %(number)s is taken: %(operator)s has it.")
        ) % {"number": task, "operator": task.operator}
        raise RuleError(message, code="already_claimed", operator=str(task.operator))
    refuse_unless_possible(task, "claim")
    require_running(task)
    _apply(task, "claim", TaskStatus.ASSIGNED, by=by, operator=by, event={"data": {"operator": [None, by.pk]}})
    decide(task, reasons=[("claimed", {"actor": str(by)})], by=by)


def release_task(task: Task, *, by: Any, reason: str = "") -> Task:
    """Give an assigned task back to the queue."""
    reason = reason_text(reason, what=_("Giving back"), required=False)
    with acting(by, reason=reason):
        fresh = lock_task(task, by=by)
        require_task(by, "release", fresh)
        refuse_unless_possible(fresh, "release")
        data = {"operator": [fresh.operator_id, None]}
        _apply(fresh, "release", TaskStatus.PENDING, by=by, operator=None, is_pinned=False, event={"reason": reason, "data": data})
        return fresh


def start_task(task: Task, *, by: Any, reason: str = "") -> Task:
    """Begin the work. A queued task is claimed first, by someone who may. What the step still misses is named.

    Who may assign the task can start it all the same, with a reason.
    """
    reason = reason_text(reason, what=_("Starting"), required=False)
    with acting(by, reason=reason), one_insert():
        fresh = lock_task(task, by=by)
        if fresh.status == TaskStatus.PENDING:
            _claim(fresh, by=by)
        require_task(by, "start", fresh)
        refuse_unless_possible(fresh, "start")
        require_running(fresh)
        missing = what_step_misses(fresh.step, fresh.order)
        if missing and not (reason and fresh.department_id in access_of(by).leads):
            raise RuleError(
                _("Task %(number)s cannot start yet. %(missing)s") % {"number": fresh, "missing": " ".join(missing)},
                code="not_ready",
                missing=missing,
            )
        _apply(fresh, "start", TaskStatus.IN_PROGRESS, by=by, started_at=fresh.started_at or timezone.now(), event={"reason": reason})
        begin_step(fresh, by=by)
        return fresh


def pause_task(task: Task, *, by: Any, reason_code: str = "", reason: str = "") -> Task:
    """Interrupt the work."""
    reason = reason_text(reason, what=_("Pausing"), required=False)
    code = reason_code_of(reason_code)
    with acting(by, reason=reason):
        fresh = lock_task(task, by=by)
        require_task(by, "pause", fresh)
        _apply(fresh, "pause", TaskStatus.PAUSED, by=by, event={"reason": reason, "reason_code": code})
        return fresh


def reason_code_of(code: str) -> str:
    """The code, if it is one of the floor's reasons, or "". Raises InvalidInput with the list."""
    if code and code not in ReasonCode.values:
        raise InvalidInput(
            _("There is no reason '%(code)s'. Use one of: %(codes)s.") % {"code": str(code)[:40], "codes": ", ".join(ReasonCode.values)},
            field="reason_code",
            code="unknown_reason",
        )
    return code or ""


def resume_task(task: Task, *, by: Any) -> Task:
    """Go on with a paused task."""
    with acting(by):
        fresh = lock_task(task, by=by)
        require_task(by, "resume", fresh)
        refuse_unless_possible(fresh, "resume")
        require_running(fresh)
        _apply(fresh, "resume", TaskStatus.IN_PROGRESS, by=by)
        return fresh


def assign_task(task: Task, *, by: Any, operator: User | None = None, department: Department | None = None, reason: str = "") -> Task:
    """Give the task to a person, or to a department's queue. A person's choice is pinned: no automatic run overrides it.

    A task that is being worked on is handed over paused. Raises RuleError when the person or department cannot take it.
    """
    reason = reason_text(reason, what=_("Assigning"), required=False)
    with acting(by, reason=reason):
        fresh = lock_task(task, by=by)
        require_task(by, "assign", fresh)
        refuse_unless_possible(fresh, "assign")
        if operator is None and department is None:
            raise InvalidInput(_("Choose a person or a department."), field="operator", code="nobody")
        target = department or fresh.department or _home_of(operator)
        _check_department(fresh, target)
        if operator:
            _check_operator(operator, target)
            if fresh.department_id and target.pk not in access_of(by).leads and not by.is_superuser:
                raise PermissionDenied(
                    _("You do not lead %(department)s. Leave the task in its queue; its supervisor decides who gets it.")
                    % {"department": target.label}
                )
        before, began = fresh.operator, fresh.status in (TaskStatus.IN_PROGRESS, TaskStatus.PAUSED)
        if began and operator is None:
            raise RuleError(
                _("Task %(number)s is being worked on. Give it to a person of the department.") % {"number": fresh}, code="in_work"
            )
        to = TaskStatus.PENDING if operator is None else TaskStatus.PAUSED if began else TaskStatus.ASSIGNED
        data = {
            "operator": [before.pk if before else None, operator.pk if operator else None],
            "department": [fresh.department_id, target.pk],
        }
        _apply(
            fresh, "assign", to, by=by, operator=operator, department=target, is_pinned=True,
            dispatched_at=fresh.dispatched_at or timezone.now(), event={"reason": reason, "data": data},
        )  # fmt: skip
        code = "person_because" if reason else "person"
        decide(fresh, reasons=[(code, {"actor": str(by), "reason": reason})], by=by)
        told = {"url": fresh.get_absolute_url(), "number": str(fresh), "order": fresh.order.number}
        if operator and operator != before and operator != by:
            notify([operator], "task_assigned", **told)
        if before and before not in (operator, by):
            notify([before], "task_taken_away", reason=reason or "—", **told)
        return fresh


def _home_of(operator: User) -> Department:
    """The first department that the person belongs to, for a task that has none."""
    home = Department.objects.active().filter(memberships__user=operator).first()
    if home is None:
        raise RuleError(_("%(operator)s belongs to no department. Choose a department.") % {"operator": operator}, code="not_member")
    return home


def _check_department(task: Task, department: Department) -> None:
    if not department.is_active or not department.processes.filter(pk=task.step.process_id).exists():
        raise RuleError(
            _("%(department)s does not do %(process)s. Choose a department that can.")
            % {"department": department.label, "process": task.step.process.label},
            code="cannot_do",
            field="department",
        )


def _check_operator(operator: User, department: Department) -> None:
    """The same hard gates as dispatch has, but for the limit of open tasks: a person may decide to pass that."""
    if not operator.is_active or not Membership.objects.filter(user=operator, department=department).exists():
        raise RuleError(
            _("%(operator)s does not work in %(department)s. Choose one of its members.")
            % {"operator": operator, "department": department.label},
            code="not_member",
            field="operator",
        )
    if operator.is_absent():
        raise RuleError(
            _("%(operator)s is absent until %(until)s. Choose somebody else.") % {"operator": operator, "until": operator.absent_until},
            code="absent",
            field="operator",
        )


def cancel_task(task: Task, *, by: Any, reason: str) -> Task:
    """Cancel an open task. What was reported stays; its step goes on without it."""
    reason = reason_text(reason, what=_("Cancelling a task"))
    with acting(by, reason=reason):
        fresh = lock_task(task, by=by)
        require_task(by, "cancel", fresh)
        if fresh.status == TaskStatus.DRAFT:
            raise RuleError(
                _("Task %(number)s is a draft that follows its order. Change the order instead.") % {"number": fresh}, code="wrong_state"
            )
        holder = fresh.operator
        _apply(fresh, "cancel", TaskStatus.CANCELLED, by=by, event={"reason": reason})
        if holder and holder != by:
            notify([holder], "task_taken_away", url="", number=str(fresh), order=fresh.order.number, reason=reason)
        roll_up(fresh.step, by=by)
        return fresh


def split_task(task: Task, *, by: Any, quantities: Sequence[int], reason: str = "") -> list[Task]:
    """Take parts off an open task, each a task of its own in the same queue; the rest stays. The sums stay equal.

    `quantities` are the parts' plans. Together they must leave something of what is not made yet. Returns the task, then its parts.
    """
    reason = reason_text(reason, what=_("Splitting"), required=False)
    parts = [whole_number(quantity, "quantity", least=1) for quantity in quantities]
    if not 1 <= len(parts) <= 50:
        raise InvalidInput(_("Enter one to 50 quantities to split off."), field="quantities", code="bad_split")
    with acting(by, reason=reason):
        fresh = lock_task(task, by=by)
        require_task(by, "split", fresh)
        if fresh.status not in TASK_OPEN:
            refuse_unless_possible(fresh, "split")
        most = fresh.planned - max(fresh.good, 1)
        if sum(parts) > most:
            raise RuleError(
                _("Task %(number)s has %(most)s left to split off; %(wanted)s is too many.")
                % {"number": fresh, "most": most, "wanted": sum(parts)},
                code="bad_split",
                field="quantities",
            )
        record(
            fresh.order,
            "split",
            by=by,
            task=fresh,
            reason=reason,
            data={"planned": [fresh.planned, fresh.planned - sum(parts)], "parts": parts},
        )
        fresh.planned -= sum(parts)
        fresh.save()
        return [fresh, *(_split_off(fresh, planned, by=by) for planned in parts)]


def _split_off(task: Task, planned: int, *, by: Any) -> Task:
    part = Task(
        order=task.order, step=task.step, source_key=task.source_key, line_id=task.line_id, material_id=task.material_id,
        tool_id=task.tool_id, split_from=task, department=task.department, priority=task.priority, due_date=task.due_date,
        planned=planned, unit=task.unit, instructions=task.instructions, dispatched_at=task.dispatched_at or timezone.now(),
    )  # fmt: skip
    part.save()
    _apply(part, "queue", TaskStatus.PENDING, by=by)
    return part
