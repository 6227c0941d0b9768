"""One order, through the verbs, from draft to completed."""

import pytest

from apps.dispatch.models import DispatchDecision
from apps.workorders.models import Task, WorkEvent, WorkOrder
from apps.workorders.services import complete_task, report
from apps.workorders.states import OrderStatus, StepStatus, TaskStatus

pytestmark = pytest.mark.django_db


def test_an_order_completes_itself_with_its_last_task(shop):
    order = shop.approved("carton", dispatched=True)
    assert order.status == OrderStatus.APPROVED
    tasks = list(Task.objects.filter(order=order).order_by("step__sequence"))
    assert all(task.status == TaskStatus.PENDING and task.department_id for task in tasks)
    assert DispatchDecision.objects.filter(task__order=order, applied=True).count() == len(tasks)
    for task in tasks:
        worker = shop.worker_of(task)
        task = shop.started(task, by=worker)
        if task.planned > 500:
            task = report(task, by=worker, good=480, scrap=20, reason_code="setup")
        task = complete_task(task, by=worker, good=task.left)
        assert task.good == task.planned
    order = WorkOrder.objects.get(pk=order.pk)
    assert order.status == OrderStatus.COMPLETED
    assert set(order.steps.values_list("status", flat=True)) == {StepStatus.COMPLETED}
    assert sum(event.good for event in WorkEvent.objects.filter(order=order)) == sum(task.planned for task in tasks)
