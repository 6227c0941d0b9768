"""Counts and rates over what the caller may see."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response

from apps.core.api import ApiView
from apps.core.filters import refuse_unknown
from apps.dashboard import statistics


class Counts(serializers.DictField):
    """A number for each name."""

    child = serializers.IntegerField()


class TaskSummaryShape(serializers.Serializer):
    total = serializers.IntegerField()
    by_status = Counts()
    open_by_priority = Counts()
    late = serializers.IntegerField()
    planned = serializers.IntegerField()
    good = serializers.IntegerField()
    scrap = serializers.IntegerField()
    completion_rate = serializers.FloatField(help_text="Completed of all that are not cancelled, 0 to 1.")
    scrap_rate = serializers.FloatField(help_text="Scrapped of all pieces, 0 to 1.")


class PlaceBriefShape(serializers.Serializer):
    id = serializers.IntegerField()
    code = serializers.CharField()
    name = serializers.CharField()


class DepartmentLoadShape(serializers.Serializer):
    department = PlaceBriefShape(allow_null=True, help_text="null: tasks that no department has yet.")
    pending = serializers.IntegerField()
    assigned = serializers.IntegerField()
    in_progress = serializers.IntegerField()
    paused = serializers.IntegerField()
    open = serializers.IntegerField()
    late = serializers.IntegerField()
    planned = serializers.IntegerField()
    good = serializers.IntegerField()
    open_minutes = serializers.IntegerField(help_text="What is left, as planned.")


class DepartmentWorkloadShape(serializers.Serializer):
    results = DepartmentLoadShape(many=True)


class PersonBriefShape(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class OperatorShareShape(serializers.Serializer):
    operator = PersonBriefShape()
    open = serializers.IntegerField()
    completed = serializers.IntegerField()
    late = serializers.IntegerField()
    good = serializers.IntegerField()
    scrap = serializers.IntegerField()
    scrap_rate = serializers.FloatField()


class CollaborationShape(serializers.Serializer):
    results = OperatorShareShape(many=True)


class OrdersShape(serializers.Serializer):
    by_status = Counts()
    late = serializers.IntegerField()
    waiting_for_me = serializers.IntegerField()


class TasksShape(serializers.Serializer):
    by_status = Counts()
    late = serializers.IntegerField()
    completed_today = serializers.IntegerField()
    mine_open = serializers.IntegerField()
    undispatched = serializers.IntegerField()
    claimable = serializers.IntegerField()
    my_tasks = Counts()


class NoticesShape(serializers.Serializer):
    unread = serializers.IntegerField()


class OverviewShape(serializers.Serializer):
    orders = OrdersShape()
    tasks = TasksShape()
    notices = NoticesShape()


class SeesTasks(BasePermission):
    """Numbers about tasks are for who may see tasks."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return request.user.has_perm("workorders.view_task")


class StatisticsView(ApiView):
    """One set of numbers. The answer is made anew each time: a right that was taken away counts at once."""

    permission_classes = [IsAuthenticated, SeesTasks]


class TaskSummaryView(StatisticsView):
    """Tasks by status and priority, pieces and rates."""

    @extend_schema(summary="Tasks in numbers", responses=TaskSummaryShape)
    def get(self, request: Any) -> Response:
        refuse_unknown(request)
        return Response(statistics.task_summary(request.user))


class DepartmentWorkloadView(StatisticsView):
    """Open work of each department."""

    @extend_schema(summary="Open work of departments", responses=DepartmentWorkloadShape)
    def get(self, request: Any) -> Response:
        refuse_unknown(request)
        return Response({"results": statistics.department_workload(request.user)})


class CollaborationView(StatisticsView):
    """Who does how much."""

    @extend_schema(summary="Work of people", responses=CollaborationShape)
    def get(self, request: Any) -> Response:
        refuse_unknown(request)
        return Response({"results": statistics.collaboration(request.user)})


class OverviewView(StatisticsView):
    """The numbers of a home page."""

    @extend_schema(summary="Everything at a glance", responses=OverviewShape)
    def get(self, request: Any) -> Response:
        refuse_unknown(request)
        return Response(statistics.overview(request.user))
