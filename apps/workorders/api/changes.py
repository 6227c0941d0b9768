"""What changed since a client last asked, for one that keeps a copy of its tasks."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response

from apps.core.api import ApiView
from apps.core.filters import refuse_unknown
from apps.workorders.api.shapes import TaskShape
from apps.workorders.following import KEPT, MOST_BEHIND, PAGE, changes_since
from apps.workorders.models import Task


class ChangesShape(serializers.Serializer):
    cursor = serializers.CharField(help_text="For the next question. Keep it with the copy.")
    has_more = serializers.BooleanField(help_text="There is more already: ask again at once.")
    changed = TaskShape(many=True, help_text="As they are now: put each in the place of the one with its id.")
    gone = serializers.ListField(child=serializers.IntegerField(), help_text="Ids to take out of the copy. It may not have all of them.")


class MaySeeTasks(BasePermission):
    """Who may open the list of tasks may follow it."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return request.user.has_perm("workorders.view_task")


class ChangesView(ApiView):
    """Tasks that changed, or went out of the caller's sight, since `cursor`. Without one: the cursor to begin with."""

    permission_classes = [IsAuthenticated, MaySeeTasks]

    @extend_schema(
        summary="What changed since",
        parameters=[OpenApiParameter("cursor", str, description="From the answer before; none to begin.")],
        responses={
            200: ChangesShape,
            410: OpenApiResponse(
                description=f"`cursor_too_old`: older than {KEPT.days} days, more than {MOST_BEHIND} changes behind, or the caller's"
                " rights changed. Begin without a cursor and read the lists again."
            ),
        },
        description=f"At most {PAGE} tasks at once. In the order of commits: nothing is missed that was begun early and saved late.",
    )
    def get(self, request: Any) -> Response:
        refuse_unknown(request, {"cursor"})
        told = changes_since(request.user, request.query_params.get("cursor", ""))
        tasks = Task.objects.visible_to(request.user).filter(pk__in=told.changed) if told.changed else Task.objects.none()
        shown = TaskShape(tasks.for_list().with_products().order_by("pk"), many=True, context={"request": request}).data
        return Response({"cursor": told.cursor, "has_more": told.has_more, "changed": shown, "gone": told.gone})
