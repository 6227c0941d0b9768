"""What the plain pages need that have no request to ask."""

from django import template

from apps.core.context import signature

register = template.Library()


@register.simple_tag
def request_id() -> str:
    """The id of the present request: on the log line, the event and the history row too."""
    return signature().request_id
