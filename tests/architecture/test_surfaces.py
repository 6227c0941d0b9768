"""Every list, form and endpoint of a scoped model starts from `visible_to`; nothing changes state on GET."""

import importlib
import inspect
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver
from rest_framework.views import APIView

from apps.core.admin import ScopedAdmin, ScopedInline
from apps.core.api import ScopedViewSet
from apps.core.querysets import ScopedQuerySet
from tests.architecture.source import sources

OURS = [model for model in apps.get_models() if model.__module__.startswith("apps.") and not model.__name__.startswith("Historical")]
SCOPED = [model for model in OURS if isinstance(model._default_manager.get_queryset(), ScopedQuerySet)]


def _patterns(resolver: Any) -> Any:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern)
        elif isinstance(pattern, URLPattern):
            yield pattern


def _api_views() -> list[type]:
    views = {getattr(pattern.callback, "cls", None) for pattern in _patterns(get_resolver())}
    return sorted((view for view in views if view and issubclass(view, APIView)), key=lambda view: view.__qualname__)


def _registered() -> list[tuple[type[Model], Any]]:
    return list(admin.site._registry.items())


@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model._meta.label)
def test_every_scoped_model_says_who_sees_it(model):
    assert type(model._default_manager.get_queryset()).visible_to is not ScopedQuerySet.visible_to


def test_every_admin_of_a_scoped_model_is_scoped():
    wrong = [model._meta.label for model, its_admin in _registered() if model in SCOPED and not isinstance(its_admin, ScopedAdmin)]
    assert wrong == []


def test_every_inline_of_a_scoped_model_is_scoped():
    wrong = [
        f"{its_admin}: {inline.__name__}"
        for _model, its_admin in _registered()
        for inline in its_admin.inlines
        if inline.model in SCOPED and not issubclass(inline, ScopedInline)
    ]
    assert wrong == []


def test_no_admin_overrides_the_scope_away():
    """get_queryset may add to what visible_to says: whoever writes one calls super()."""
    wrong = [
        f"{type(its_admin).__name__}.get_queryset"
        for _model, its_admin in _registered()
        if isinstance(its_admin, ScopedAdmin)
        for method in [vars(type(its_admin)).get("get_queryset")]
        if method and "super()" not in inspect.getsource(method)
    ]
    assert wrong == []


def test_every_viewset_of_a_scoped_model_is_scoped():
    wrong = []
    for view in _api_views():
        queryset = getattr(view, "queryset", None)
        model = getattr(queryset, "model", None) or getattr(view, "model", None)
        if model in SCOPED and not issubclass(view, ScopedViewSet):
            wrong.append(view.__qualname__)
    assert wrong == []


def test_no_list_is_editable():
    assert [str(its_admin) for _model, its_admin in _registered() if its_admin.list_editable] == []


def test_actions_that_are_links_open_a_dialog():
    """unfold calls an action's address with GET: each of ours takes a dialog, whose form is posted."""
    wrong = []
    for _model, its_admin in _registered():
        for kind in ("actions_list", "actions_row", "actions_detail", "actions_submit_line"):
            for entry in getattr(its_admin, kind, ()) or ():
                names = entry.get("items", []) if isinstance(entry, dict) else [entry]
                for name in names:
                    action = getattr(its_admin, name, None) if isinstance(name, str) else name
                    if not (getattr(action, "dialog", None) or getattr(action, "only_looks", False) or kind == "actions_submit_line"):
                        wrong.append(f"{type(its_admin).__name__}.{name} ({kind})")
    assert wrong == []


def test_guardian_pages_are_not_used():
    from guardian.admin import GuardedModelAdminMixin

    assert [str(its_admin) for _model, its_admin in _registered() if isinstance(its_admin, GuardedModelAdminMixin)] == []


def test_no_page_of_the_queue_writes():
    for model, its_admin in _registered():
        if model._meta.app_label == "django_q":
            pytest.fail(f"{its_admin} is registered: its pages run what they are given.")


def test_serializers_name_their_fields():
    from rest_framework.serializers import ModelSerializer

    for source in sources("apps"):
        if source.surface == "api":
            importlib.import_module(".".join(source.parts))

    def below(cls: type) -> Any:
        for child in cls.__subclasses__():
            yield child
            yield from below(child)

    wrong = [
        one.__qualname__
        for one in below(ModelSerializer)
        if one.__module__.startswith("apps.")
        and (getattr(one.Meta, "fields", None) in (None, "__all__") or getattr(one.Meta, "exclude", None))
    ]
    assert wrong == []
