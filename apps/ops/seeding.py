"""The reference shop's presets: what is written in fixtures/presets.json, brought into the tables once.

A site's own choice is never touched: what it changed stays, and what it deleted or renamed is not made again.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import models

from apps.accounts.models import Department
from apps.accounts.services import sync_roles, system_user
from apps.catalog.models import Process, Product, Route, RouteStep
from apps.core.context import acting
from apps.dispatch.models import DispatchRule

FIXTURES = settings.BASE_DIR / "fixtures"


def read_fixture(name: str) -> dict[str, Any]:
    """The plain data of fixtures/`name`.json."""
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def _once_known(model: type[models.Model], *fields: str) -> set[tuple]:
    """The keys of all rows that are there, and of those that were there under this key before. Two queries."""
    return set(model.objects.values_list(*fields)) | set(model.history.values_list(*fields))


def _rows_by(model: type[models.Model], rows: Iterable[dict[str, Any]], key: str = "code") -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a fixture that the tables do not know yet, with their position from 1."""
    known = _once_known(model, key)
    return ((position, row) for position, row in enumerate(rows, 1) if (row[key],) not in known)


def seed_presets() -> Counter:
    """Make what is missing of the roles, departments, processes, rules and products. Says how many of each it made.

    One transaction, signed by the system user. A second run makes nothing.
    """
    made: Counter = Counter()
    presets = read_fixture("presets")
    sync_roles()
    with acting(system_user()):
        _departments(presets["departments"], made)
        _processes(presets["processes"], presets["can_do"], made)
        _rules(presets["rules"], made)
        _products(presets["products"], made)
    return made


def _departments(rows: list[dict[str, Any]], made: Counter) -> None:
    """Departments; a parent comes before its children in the fixture."""
    for position, row in _rows_by(Department, rows):
        parent = Department.objects.filter(code=row.get("parent", "")).first()
        Department.objects.create(code=row["code"], name=row["name"], name_zh=row["name_zh"], parent=parent, position=10 * position)
        made["departments"] += 1


def _processes(rows: list[dict[str, Any]], can_do: dict[str, str], made: Counter) -> None:
    """Processes with the departments that can do them. Only a new process gets departments: later the list is the site's."""
    departments = {department.code: department for department in Department.objects.all()}
    for position, row in _rows_by(Process, rows):
        process = Process.objects.create(position=10 * position, **row)
        process.departments.set(
            departments[code] for code, processes in can_do.items() if row["code"] in processes.split() and code in departments
        )
        made["processes"] += 1


def _rules(rows: list[dict[str, Any]], made: Counter) -> None:
    known = _once_known(DispatchRule, "process", "department")
    departments = {department.code: department for department in Department.objects.all()}
    processes = {process.code: process for process in Process.objects.all()}
    for row in rows:
        department = departments.get(row["department"])
        values = {name: value for name, value in row.items() if name not in ("department", "processes")}
        for process in (processes.get(code) for code in row["processes"].split()):
            if process and department and (process.pk, department.pk) not in known:
                DispatchRule.objects.create(process=process, department=department, **values)
                made["dispatch rules"] += 1


def _products(rows: list[dict[str, Any]], made: Counter) -> None:
    """Products, each with the route of its own code."""
    processes = {process.code: process for process in Process.objects.all()}
    routes = {route.code: route for route in Route.objects.all()}
    for _position, row in _rows_by(Route, rows):
        route = routes[row["code"]] = Route.objects.create(code=row["code"], name=row["name"])
        for position, code in enumerate(row["route"].split(" > "), 1):
            if code in processes:
                minimum = row.get("transfer", {}).get(code)
                RouteStep.objects.create(route=route, process=processes[code], position=10 * position, transfer_minimum=minimum)
        made["routes"] += 1
    for _position, row in _rows_by(Product, rows):
        values = {name: row[name] for name in ("code", "name", "unit", "specification")}
        Product.objects.create(route=routes.get(row["code"]), **values)
        made["products"] += 1
