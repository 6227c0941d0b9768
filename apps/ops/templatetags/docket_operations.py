"""What people in charge of the installation see above every page of the admin when something is down."""

from typing import Any

from django import template

from apps.accounts.access import access_of
from apps.ops.trouble import SENTENCES, trouble

register = template.Library()


@register.inclusion_tag("admin/operations/banner.html", takes_context=True)
def operations_banner(context: Any) -> dict[str, list[str]]:
    """A sentence for each thing that is down. No query for anybody else."""
    request = context.get("request")
    if request is None or not access_of(request.user).has("ops.view_operations"):
        return {"alerts": []}
    return {"alerts": [str(SENTENCES[name]) for name in trouble()]}
