"""Addresses of the admin's lists and objects, as the home page, the sidebar and the search link to them."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.urls import Resolver404, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme

from apps.accounts.access import access_of
from apps.notices.models import Notice
from apps.workorders.models import Task, WorkOrder


def may_open(user: Any, model: type) -> bool:
    """Whether `model` has pages that `user` may open. No query."""
    opts = model._meta
    return admin.site.is_registered(model) and access_of(user).has(f"{opts.app_label}.view_{opts.model_name}")


def list_of(model: type, **filters: Any) -> str:
    """The address of the model's list, filtered; a value that is a list stands several times."""
    query = urlencode(filters, doseq=True)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{query}" if query else address


def page_of(model: type, pk: Any) -> str:
    """The address of one object's page."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])


def add_to(model: type) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")


def verb_on(model: type, verb: str, pk: Any) -> str:
    """The address of the dialog of one verb on one object."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_verb_{verb}", args=[pk])


def of_notice(user: Any, notice: Notice) -> str:
    """Where `notice` leads `user` to: its own link, the tasks of the order for who has no order pages, or the home page."""
    home, address = reverse("admin:index"), notice.url
    if not (address.startswith("/") and url_has_allowed_host_and_scheme(address, allowed_hosts=None)):
        return home
    try:
        match = resolve(address.partition("?")[0])
    except Resolver404:
        return home
    if match.view_name == "admin:workorders_workorder_change" and not may_open(user, WorkOrder):
        return list_of(Task, q=notice.params.get("number", "")) if may_open(user, Task) else home
    return address
