"""How people look in JSON, for every app that tells who somebody is."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.accounts import services
from apps.accounts.access import access_of
from apps.accounts.models import User


class PlaceShape(serializers.Serializer):
    """A department that the user works in."""

    id = serializers.IntegerField(source="department_id")
    code = serializers.CharField(source="department.code")
    name = serializers.CharField(source="department.label")
    is_lead = serializers.BooleanField()


class PersonShape(serializers.ModelSerializer):
    """The user himself."""

    name = serializers.CharField(source="get_full_name")
    roles = serializers.SerializerMethodField()
    departments = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ("id", "username", "name", "roles", "departments")

    def get_roles(self, user: User) -> list[str]:
        return sorted(access_of(user).roles)

    @extend_schema_field(PlaceShape(many=True))
    def get_departments(self, user: User) -> list[dict]:
        return PlaceShape(services.places_of(user), many=True).data


class SignedInShape(serializers.Serializer):
    """A new token, which no later answer shows again."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()
    user = PersonShape()
