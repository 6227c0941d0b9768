"""The caller's own notices."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.response import Response

from apps.core.api import DetailView, ListView, ScopedViewSet, command
from apps.core.filters import TruthFilter
from apps.core.shapes import Nothing
from apps.notices.models import Notice
from apps.notices.services import mark_all_read, mark_read


class NoticeShape(serializers.ModelSerializer):
    text = serializers.CharField(help_text="The sentence, in the caller's language.")
    is_read = serializers.SerializerMethodField()

    class Meta:
        model = Notice
        fields = ("id", "kind", "text", "params", "url", "created_at", "read_at", "is_read")

    def get_is_read(self, notice: Notice) -> bool:
        return notice.read_at is not None


class ReadShape(serializers.Serializer):
    read = serializers.IntegerField(help_text="How many were marked.")


class NoticeFilters(django_filters.FilterSet):
    unread = TruthFilter(method="only_unread")

    class Meta:
        model = Notice
        fields = ("kind",)

    def only_unread(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(read_at__isnull=value)


@extend_schema_view(list=extend_schema(summary="List notices, newest first"), retrieve=extend_schema(summary="Show a notice"))
class NoticeViewSet(ListView, DetailView, ScopedViewSet):
    """Notices to the caller."""

    model = Notice
    serializer_class = NoticeShape
    filterset_class = NoticeFilters

    @command(answer=NoticeShape, summary="Mark a notice as read")
    def read(self, request: Any, pk: str) -> Response:
        self.body(Nothing)
        return self.shown(mark_read(self.get_object()))

    @command(answer=ReadShape, detail=False, summary="Mark every notice as read")
    def read_all(self, request: Any) -> Response:
        self.body(Nothing)
        return Response({"read": mark_all_read(request.user)})
