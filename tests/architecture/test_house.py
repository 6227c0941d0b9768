"""Small rules of the house that a reader forgets and a machine does not."""

import ast
import re

import factory
import pytest
from django.apps import apps
from factory.django import DjangoModelFactory

from tests import factories
from tests.architecture.source import ROOT, sources

pytestmark = pytest.mark.once

MODELS = [model for model in apps.get_models() if model.__module__.startswith("apps.") and not model.__name__.startswith("Historical")]


def _factories() -> list[type[DjangoModelFactory]]:
    found = [one for one in vars(factories).values() if isinstance(one, type) and issubclass(one, DjangoModelFactory)]
    return [one for one in found if one is not DjangoModelFactory]


def _templates() -> list:
    return [path for folder in ("templates", "apps") for path in sorted((ROOT / folder).rglob("*.html"))]


def test_no_module_is_longer_than_600_lines():
    lengths = {str(source): source.text.count("\n") for source in sources("apps", "project", "tests")}
    assert {name: length for name, length in lengths.items() if length > 600} == {}


def test_nothing_is_marked_as_safe():
    words = ("mark_safe", "SafeString", "SafeText", "allow_tags")
    wrong = [f"{source}: {word}" for source in sources("apps", "project") for word in words if re.search(rf"\b{word}\b", source.text)]
    wrong += [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _templates()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"\|\s*(safe|safeseq)\b|\{%\s*autoescape off", line)
    ]
    assert wrong == []


def test_no_query_is_spread_out_of_a_request():
    """`filter(**request.GET)` lets whoever asks follow any relation, `_connector` and all."""
    told = {"request", "GET", "POST", "query_params", "data", "initial_data", "validated_data", "cleaned_data"}
    asked = {"filter", "exclude", "get", "annotate", "alias", "aggregate", "update", "Q", "get_or_create", "update_or_create"}
    wrong = [
        f"{source}:{node.lineno}"
        for source in sources("apps")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and {getattr(node.func, "attr", ""), getattr(node.func, "id", "")} & asked
        for spread in [keyword.value for keyword in node.keywords if keyword.arg is None]
        if {getattr(one, "attr", getattr(one, "id", "")) for one in ast.walk(spread)} & told
    ]
    assert wrong == []


def test_no_list_is_made_editable_in_the_source():
    assert [str(source) for source in sources("apps") if "list_editable" in source.text] == []


def test_no_test_sleeps():
    wrong = [str(source) for source in sources("tests") if re.search(r"\btime\.sleep\(|^\s*sleep\(", source.text, re.MULTILINE)]
    assert [name for name in wrong if name != "tests/architecture/test_house.py"] == []


def test_there_is_no_broad_except():
    wrong = []
    for source in sources("apps", "project"):
        for node in ast.walk(source.tree):
            if (
                isinstance(node, ast.ExceptHandler)
                and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "BaseException"))
            ) or (isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and node.type.id == "Exception"):
                wrong.append(f"{source}:{node.lineno}")
    # The supervisor of the jobs is the one place that outlives what it runs.
    assert [one for one in wrong if not one.startswith(("apps/core/jobs.py", "apps/ops/"))] == []


def test_no_text_is_built_before_it_is_translated():
    """An f-string, a `%` or `.format` inside `_()` never matches a catalogue."""
    names = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}
    wrong = [
        f"{source}:{node.lineno}"
        for source in sources("apps", "project")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
        for argument in node.args[:2]
        if isinstance(argument, ast.JoinedStr | ast.BinOp) or (isinstance(argument, ast.Call) and isinstance(argument.func, ast.Attribute))
    ]
    assert wrong == []


def test_placeholders_of_texts_are_named():
    """`%s` cannot change its place in another language, `%(name)s` can."""
    wrong = [
        f"{source}:{node.lineno}"
        for source in sources("apps", "project")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"_", "gettext", "gettext_lazy"}
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and re.search(r"(?<!%)%[sd]|\{\}|\{\d\}", argument.value)
    ]
    assert wrong == []


def test_there_are_no_notes_to_self_and_no_prints():
    wrong = []
    for source in sources("apps", "project"):
        wrong += [f"{source}: {word}" for word in ("TODO", "FIXME", "XXX") if re.search(rf"#.*\b{word}\b", source.text)]
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(f"{source}:{node.lineno} print")
    assert wrong == []


def test_no_place_is_called_by_a_word_that_says_nothing():
    empty = {"common", "utils", "helpers", "managers", "misc"}
    assert [str(source) for source in sources("apps", "project", "tests") if empty & set(source.parts)] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_model_has_one_factory(model):
    assert [one._meta.model for one in _factories()].count(model) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("one", _factories(), ids=lambda one: one.__name__)
def test_every_factory_makes_rows_that_can_stand_side_by_side(one):
    assert issubclass(one, factory.Factory)
    first, second = one(), one()
    assert first.pk != second.pk


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_constraint_has_a_name_of_ours(model):
    """The database's own message names it, and a person can find it."""
    assert all(
        not constraint.name.startswith(f"{model._meta.app_label}_{model._meta.model_name}_") for constraint in model._meta.constraints
    )


def test_every_public_module_of_rules_says_what_it_is():
    wrong = [
        str(source)
        for source in sources("apps")
        if len(source.parts) > 2
        and not source.surface
        and source.text.strip()
        and source.parts[-1] != "apps"
        and not ast.get_docstring(source.tree)
    ]
    assert wrong == []
