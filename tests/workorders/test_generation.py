import pytest

from apps.catalog.models import Process, Route, RouteStep, Stage, TaskRule, Tool, ToolKind
from apps.core.errors import InvalidInput, RuleError
from apps.core.units import Unit
from apps.workorders import services as do
from apps.workorders.generation import default_runs, merge, plan_steps, plan_tasks, read_steps_text, regenerate, usual_after
from apps.workorders.models import OrderLine, OrderMaterial, Step, Task, WorkOrder
from tests.queries import count_queries


def tasks_of(order) -> list[tuple]:
    rows = order.tasks.order_by("step__sequence", "source_key")
    return [
        (task.step.process.code, task.source_key.split(":")[0], task.planned, task.unit) for task in rows.select_related("step__process")
    ]


def after_of(order) -> dict[str, set[str]]:
    steps = order.steps.select_related("process").prefetch_related("predecessors__process")
    return {step.process.code: {one.process.code for one in step.predecessors.all()} for step in steps}


def test_a_step_that_would_make_more_than_a_column_holds_is_refused(shop):
    """Each material is possible, their sum is past PostgreSQL's integers."""
    materials = [OrderMaterial(name="board", amount="900000000", needs_cutting=True) for _number in range(3)]
    with pytest.raises(InvalidInput, match="stock cutting would have 2700000000 to make") as refusal:
        shop.draft("leaflet", materials=materials)
    assert refusal.value.code == "too_many"
    assert not WorkOrder.objects.exists()


def test_the_carton_becomes_the_tasks_that_its_processes_make(shop):
    order = shop.draft(("carton", 4000), run_quantity=1000, allowance=50)
    assert tasks_of(order) == [
        ("CTP", "tool", 1, Unit.PLATE),
        ("CTP", "tool", 1, Unit.PLATE),
        ("CTP", "tool", 1, Unit.PLATE),
        ("CUT", "material", 500, Unit.SHEET),
        ("PRT", "tool", 1050, Unit.RUN),
        ("LAM_M", "order", 1050, Unit.RUN),
        ("FOIL_G", "tool", 1050, Unit.RUN),
        ("DIE", "tool", 1050, Unit.RUN),
        ("BOX", "order", 1050, Unit.RUN),
        ("PACK", "line", 4000, Unit.PIECE),
    ]
    assert do.warnings(order) == []


def test_each_step_plans_the_sum_of_its_tasks(shop):
    order = shop.draft("leaflet", ("carton", 4000))
    for step in order.steps.all():
        assert step.planned == sum(step.tasks.values_list("planned", flat=True))


def test_plates_and_stock_side_by_side_printing_after_both_and_the_rest_in_a_row(shop):
    assert after_of(shop.draft("carton")) == {
        "CTP": set(),
        "CUT": set(),
        "PRT": {"CTP", "CUT"},
        "LAM_M": {"PRT"},
        "FOIL_G": {"LAM_M"},
        "DIE": {"FOIL_G"},
        "BOX": {"DIE"},
        "PACK": {"BOX"},
    }


def test_a_route_that_says_after_what_is_followed(shop):
    route = shop.products["leaflet"].route
    steps = {step.process.code: step for step in route.steps.select_related("process")}
    steps["PACK"].after.set([steps["CUT"]])
    steps["PACK"].transfer_minimum = 200
    steps["PACK"].save()
    order = shop.draft()
    assert after_of(order)["PACK"] == {"CUT"}
    assert order.steps.get(process__code="PACK").transfer_minimum == 200


def test_generation_is_idempotent(shop, maker):
    order = shop.draft("leaflet", "carton")
    before = list(Task.objects.order_by("pk").values("pk", "version", "source_key", "planned"))
    steps = list(Step.objects.order_by("pk").values("pk", "version"))
    for _again in range(2):
        regenerate(WorkOrder.objects.get(pk=order.pk))
    assert list(Task.objects.order_by("pk").values("pk", "version", "source_key", "planned")) == before
    assert list(Step.objects.order_by("pk").values("pk", "version")) == steps


def test_a_change_touches_only_the_tasks_that_it_is_about(shop, maker):
    order = shop.draft("leaflet", "poster")
    before = dict(order.tasks.values_list("source_key", "version"))
    line = order.lines.get(product=shop.products["poster"])
    line.quantity = 700
    do.revise_order(order, lines=[order.lines.get(product=shop.products["leaflet"]), line], by=maker)
    changed = {key for key, version in order.tasks.values_list("source_key", "version") if version != before[key]}
    assert changed == {f"line:{line.pk}"}


def test_quantities_follow_their_line_whatever_the_order_of_the_list(shop, maker):
    """Quantities used to be paired with tasks by their position in a list."""
    order = shop.draft(("leaflet", 100), ("poster", 200), ("carton", 300))
    lines = list(order.lines.all())
    order = do.revise_order(order, lines=lines[::-1], by=maker)
    packing = Task.objects.filter(order=order, step__process__code="PACK").select_related("line__product")
    assert {task.line.product.name: task.planned for task in packing} == {"leaflet": 100, "poster": 200, "carton": 300}


def test_a_removed_line_takes_its_draft_task_with_it(shop, maker):
    order = shop.draft("leaflet", "poster")
    order = do.revise_order(order, lines=[order.lines.first()], by=maker)
    assert Task.objects.filter(order=order, step__process__code="PACK").count() == 1


def test_another_route_makes_other_steps(shop, maker):
    order = shop.draft("leaflet")
    order = do.revise_order(order, lines=[*shop.lines("poster")], by=maker)
    assert list(order.steps.values_list("process__code", flat=True)) == ["CTP", "CUT", "PRT", "TRIM", "PACK"]
    assert {row[0] for row in tasks_of(order)} == {"CTP", "CUT", "PRT", "TRIM", "PACK"}


def test_a_task_with_reports_is_never_touched(shop, maker):
    """Drafts have no reports by any verb; the rule holds all the same."""
    order = shop.draft()
    reported = shop.task(order, "PACK")
    Task.objects.filter(pk=reported.pk).update(good=5)
    line = order.lines.get()
    line.quantity = 77
    with pytest.raises(RuleError) as refusal:
        do.revise_order(order, lines=[line], by=maker)
    assert refusal.value.code == "begun"
    reported.refresh_from_db()
    assert (reported.planned, reported.good) == (1000, 5)


@pytest.mark.parametrize(
    ("process", "changes"),
    [("CUT", {"materials": []}), ("CTP", {"tools": []}), ("PRT", {"tools": []})],
)
def test_a_step_whose_objects_are_missing_gets_one_task_and_the_order_a_warning(shop, process, changes):
    if "tools" in changes:
        Tool.objects.update(is_active=False)
    order = shop.draft(**changes)
    assert [row[1:] for row in tasks_of(order) if row[0] == process] == [("order", 1000, Unit.RUN)]
    label = shop.processes[process].name
    assert [one for one in do.warnings(order) if one.startswith(label)]


def test_material_that_needs_no_cutting_makes_no_cutting_task(shop):
    order = shop.draft(materials=[shop.paper(amount=12.5), shop.paper(needs_cutting=False)])
    assert [row for row in tasks_of(order) if row[0] == "CUT"] == [("CUT", "material", 13, Unit.SHEET)]


def test_a_tool_that_is_attached_later_replaces_the_makeshift_task(shop, maker):
    Tool.objects.update(is_active=False)
    order = shop.draft(tools=[])
    order = do.revise_order(order, tools=[shop.tools["leaflet"]], by=maker)
    assert [row[1:] for row in tasks_of(order) if row[0] == "PRT"] == [("tool", 1000, Unit.RUN)]
    assert do.warnings(order) == []


def test_a_ganged_order_has_each_process_once(shop):
    order = shop.draft("leaflet", "poster", "carton")
    codes = list(order.steps.values_list("process__code", flat=True))
    assert sorted(codes) == sorted(set(codes))
    for route in ("CTP CUT PRT PACK", "CTP CUT PRT TRIM PACK", "CTP CUT PRT LAM_M FOIL_G DIE BOX PACK"):
        assert [code for code in codes if code in route.split()] == route.split()


def test_own_steps_win_over_the_routes(shop):
    order = shop.draft(steps_text="ctp ＞ PRT → PACK")
    assert list(order.steps.values_list("process__code", flat=True)) == ["CTP", "PRT", "PACK"]


def test_the_orders_route_wins_over_its_products(shop):
    order = shop.draft(route=shop.products["poster"].route)
    assert list(order.steps.values_list("process__code", flat=True)) == ["CTP", "CUT", "PRT", "TRIM", "PACK"]


def test_an_inactive_process_is_unknown(shop):
    Process.objects.filter(code="VAN").update(is_active=False)
    with pytest.raises(InvalidInput, match="VAN") as refusal:
        read_steps_text("CTP > VAN")
    assert refusal.value.field == "steps_text"


def test_draft_tasks_know_the_department_that_dispatch_would_choose(shop):
    order = shop.draft("carton")
    places = set(order.tasks.values_list("step__process__code", "department__code"))
    assert places == {
        ("CTP", "design"), ("CUT", "cutting"), ("PRT", "printing"), ("LAM_M", "printing"), ("FOIL_G", "die_cutting"),
        ("DIE", "die_cutting"), ("BOX", "packaging"), ("PACK", "packaging"),
    }  # fmt: skip
    order = shop.approved("carton")
    assert set(order.tasks.values_list("step__process__code", "department__code")) == places


def test_tasks_inherit_priority_due_date_and_instructions(shop, maker):
    order = shop.draft(priority=4, instructions="Fold carefully.")
    assert set(order.tasks.values_list("priority", "due_date", "instructions")) == {(4, order.due_date, "Fold carefully.")}
    order.instructions = "Do not fold."
    order = do.revise_order(order, by=maker)
    assert set(order.tasks.values_list("instructions", flat=True)) == {"Do not fold."}


# --- the pure parts


def process(code: str, stage=Stage.FINISH, rule=TaskRule.SINGLE, position=100) -> Process:
    return Process(pk=sum(map(ord, code)), code=code, name=code.lower(), stage=stage, task_rule=rule, position=position)


@pytest.mark.parametrize(
    ("stages", "after"),
    [
        ("ppPff", [set(), set(), {0, 1}, {2}, {3}]),
        ("f", [set()]),
        ("ff", [set(), {0}]),
        ("Pf", [set(), {0}]),
        ("pfP", [set(), {0}, {1}]),
        ("pPP", [set(), {0}, {1}]),
        ("pp", [set(), set()]),
    ],
)
def test_what_follows_what_without_a_word_from_the_route(stages, after):
    kinds = {"p": Stage.PREPARE, "P": Stage.PRINT, "f": Stage.FINISH}
    processes = [process(chr(65 + number), kinds[one]) for number, one in enumerate(stages)]
    assert [usual_after(processes, index) for index in range(len(processes))] == after


@pytest.mark.parametrize(("quantities", "ups", "runs"), [([], 1, 0), ([1000], 1, 1000), ([1000, 3001], 4, 751), ([5], 0, 5), ([0], 2, 0)])
def test_default_runs(quantities, ups, runs):
    assert default_runs([OrderLine(quantity=one) for one in quantities], ups) == runs


@pytest.mark.parametrize("rule", TaskRule.values)
def test_no_rule_ever_makes_no_task(rule):
    order = WorkOrder(run_quantity=0)
    plans, warning = plan_tasks(order, process("X", rule=rule), [], [], [])
    assert [(plan.key, plan.planned) for plan in plans] == [("order", 1)]
    assert bool(warning) == (rule != TaskRule.SINGLE)


@pytest.mark.parametrize("rule", [one for one in TaskRule.values if one.startswith("per_") and one not in ("per_material", "per_line")])
def test_each_tool_rule_takes_the_tools_of_its_kind(rule):
    tools = [Tool(pk=number, kind=kind) for number, kind in enumerate(ToolKind.values, 1)]
    plans, _warning = plan_tasks(WorkOrder(run_quantity=100, allowance=5), process("X", rule=rule), [], [], tools)
    if rule == "per_tool":
        assert [(plan.tool_id, plan.planned) for plan in plans] == [(1, 1), (2, 1), (3, 1), (4, 1)]
    else:
        assert [(ToolKind.values[plan.tool_id - 1], plan.planned) for plan in plans] == [(rule.removeprefix("per_"), 105)]


@pytest.mark.django_db
def test_routes_that_disagree_are_merged_by_the_shops_order_without_a_cycle():
    first, second = Route.objects.create(code="A", name="A"), Route.objects.create(code="B", name="B")
    made = {code: Process.objects.create(code=code, name=code, position=position) for position, code in enumerate("XYZ", 1)}
    for route, codes in ((first, "XYZ"), (second, "ZYX")):
        for position, code in enumerate(codes, 1):
            RouteStep.objects.create(route=route, process=made[code], position=position)
    plans = merge([list(route.steps.select_related("process").prefetch_related("after")) for route in (first, second)])
    assert [plan.process.code for plan in plans] == ["X", "Y", "Z"]
    assert all(other < index for index, plan in enumerate(plans) for other in plan.after)


@pytest.mark.django_db
def test_a_process_that_a_route_has_twice_stays_twice():
    route = Route.objects.create(code="A", name="A")
    made = {code: Process.objects.create(code=code, name=code) for code in "XY"}
    for position, code in enumerate("XYX", 1):
        RouteStep.objects.create(route=route, process=made[code], position=position)
    plans = merge([list(route.steps.select_related("process").prefetch_related("after"))])
    assert [plan.process.code for plan in plans] == ["X", "Y", "X"]


def test_the_cost_of_planning_does_not_grow_with_the_lines(shop):
    counts = []
    for products in (["leaflet"], ["leaflet", "poster", "carton"] * 3):
        order = shop.draft(*products)
        lines = list(order.lines.select_related("product"))
        with count_queries() as queries:
            plan_steps(order, lines)
        counts.append(len(queries))
    assert counts[0] == counts[1]
