"""Labels of orders and tasks, for the templates. No query."""

from decimal import Decimal

from django import template
from django.utils.formats import number_format

from apps.workorders import looks
from apps.workorders.models import Task

register = template.Library()
register.filter("status_label", looks.status_label)
register.filter("priority_label", looks.priority_label)
register.filter("due_label", looks.due_label)
register.filter("tone", looks.tone)


@register.filter
def made_for(task: Task) -> str:
    """The line, tool or material that the task was generated for."""
    return " · ".join(str(thing) for thing in (task.line and task.line.product.name, task.tool, task.material) if thing)


@register.filter
def plain_amount(amount: Decimal) -> str:
    """An amount without zeros that say nothing: 500, not 500.000."""
    whole = amount == amount.to_integral_value()
    return number_format(amount.quantize(Decimal(1)) if whole else amount.normalize(), force_grouping=True)
