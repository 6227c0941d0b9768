"""What an order needs before it can be submitted. Each problem names the field and the way out."""

from django.utils.translation import gettext as _

from apps.catalog.models import Stage, TaskRule, ToolKind
from apps.core.errors import RuleError
from apps.workorders.models import WorkOrder


def problems_before_submit(order: WorkOrder) -> list[RuleError]:
    """Everything that is missing, all at once, so that nobody finds one fault after the other. Four queries."""
    problems: list[RuleError] = []

    def missing(field: str, code: str, message: str) -> None:
        problems.append(RuleError(message, field=field, code=code))

    lines, materials = list(order.lines.all()), list(order.materials.all())
    steps, tools = list(order.steps.select_related("process")), list(order.tools.all())
    if not order.customer_id:
        missing("customer", "no_customer", _("The order has no customer. Choose one."))
    if not order.maker_id:
        missing("maker", "no_maker", _("Nobody is named as the maker. Choose who is responsible for the order."))
    if not lines:
        missing("lines", "no_lines", _("The order has no product line. Add at least one product and its quantity."))
    if not order.due_date:
        missing("due_date", "no_due_date", _("The order has no due date. Enter the day on which the customer needs it."))
    elif order.due_date < order.order_date:
        missing(
            "due_date",
            "due_before_order",
            _("The due date %(due)s is before the order date %(ordered)s. Correct one of them.")
            % {"due": order.due_date, "ordered": order.order_date},
        )
    if lines and order.run_quantity < 1:
        missing("run_quantity", "no_run_quantity", _("The run quantity is 0. Enter how many press runs the order needs."))
    if lines and not steps:
        missing("steps", "no_steps", _("The order has no steps. Give its product a route, choose a route, or write the order's own steps."))
    for kind in dict.fromkeys(step.process.needs_tool for step in steps if step.process.needs_tool):
        if not any(tool.kind == kind for tool in tools):
            needing = next(step for step in steps if step.process.needs_tool == kind)
            missing(
                "tools",
                f"no_{kind}",
                _("%(process)s needs one: attach the %(kind)s under Tools.")
                % {"process": needing.process.label, "kind": ToolKind(kind).label},
            )
    if any(step.process.task_rule == TaskRule.PER_MATERIAL for step in steps):
        for material in materials:
            if material.needs_cutting and not material.amount:
                missing(
                    "materials",
                    "no_amount",
                    _("%(material)s has to be cut, but has no amount. Enter how much of it.") % {"material": material},
                )
    printed = False
    for step in steps:
        printed = printed or step.stage == Stage.PRINT
        if printed and step.stage == Stage.PREPARE:
            missing(
                "steps",
                "steps_out_of_order",
                _("%(process)s comes after printing, but belongs before it. Change the order of the steps.")
                % {"process": step.process.label},
            )
    return problems
