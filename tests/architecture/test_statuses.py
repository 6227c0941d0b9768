"""`transitions._apply` is the only code that writes a status of an order, a step or a task."""

import ast

from tests.architecture.source import Source, sources

THE_PLACE = "apps/workorders/transitions.py"
# The generator of load data writes millions of finished rows at once, into an empty database only.
LOADERS = {"apps/ops/management/commands/seed_load.py", "apps/ops/load.py"}
STATED = {"WorkOrder", "Step", "Task"}
WRITERS = {"update", "create", "get_or_create", "update_or_create", "bulk_update", "aupdate", "acreate"}
# Models of others that have a field called status: answers that were given, and HTTP itself.
OTHERS = {"apps/core/api.py", "apps/core/idempotency.py", "apps/core/problems.py"}


def _assigns_status(node: ast.AST) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else []
    flat = [inner for target in targets for inner in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return any(isinstance(target, ast.Attribute) and target.attr == "status" for target in flat)


def _passes_status(node: ast.AST) -> bool:
    """A call that writes: Model(status=...), .update(status=...), setattr(x, "status", ...), bulk_update(rows, ["status"])."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    keywords = {keyword.arg for keyword in node.keywords}
    if name in STATED | WRITERS and "status" in keywords:
        return True
    constants = {inner.value for argument in node.args for inner in ast.walk(argument) if isinstance(inner, ast.Constant)}
    if name in {"setattr", "__setattr__"}:
        return len(node.args) > 1 and isinstance(node.args[1], ast.Constant) and node.args[1].value == "status"
    return name in {"bulk_update", "abulk_update"} and "status" in constants


def _writes(source: Source) -> list[int]:
    return [node.lineno for node in ast.walk(source.tree) if _assigns_status(node) or _passes_status(node)]


def test_a_status_is_written_in_one_place():
    found = {f"{source}:{line}" for source in sources("apps", "project") for line in _writes(source)}
    outside = {one for one in found if one.split(":")[0] not in {THE_PLACE, *LOADERS, *OTHERS}}
    assert outside == set()


def test_the_place_writes_it_once():
    place = next(source for source in sources("apps") if str(source) == THE_PLACE)
    assert len(_writes(place)) == 1


def test_this_check_sees_every_way_to_write_one():
    ways = """
order.status = "draft"
order.status, order.at = 1, 2
task.status: str = "x"
Task.objects.filter(pk=1).update(status="x")
Task(status="x")
Task.objects.create(status="x")
setattr(task, "status", "x")
Task.objects.bulk_update(tasks, ["status"])
"""
    lines = ways.strip().splitlines()
    for line in lines:
        tree = ast.parse(line)
        assert any(_assigns_status(node) or _passes_status(node) for node in ast.walk(tree)), line


def test_no_form_and_no_serializer_offers_a_status_to_write():
    from django.contrib import admin

    from apps.workorders.models import Step, Task, WorkOrder

    wrong = []
    for model in (WorkOrder, Step, Task):
        assert not model._meta.get_field("status").editable, model
        if model in admin.site._registry and "status" in (admin.site._registry[model].fields or ()):
            assert "status" in admin.site._registry[model].readonly_fields
    assert wrong == []
