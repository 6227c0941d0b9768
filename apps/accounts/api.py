"""Signing in with name and password, and the departments."""

from typing import Any

import django_filters
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.response import Response

from apps.accounts import second_factor, services
from apps.accounts.models import Department
from apps.accounts.shapes import PersonShape, SignedInShape
from apps.core.api import ApiView, DetailView, ListView, ScopedViewSet
from apps.core.filters import CodeFilter, TruthFilter
from apps.core.shapes import Body, Text


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "apps.accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict:
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token dkt_… (Bearer is accepted too)"}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "apps.accounts.authentication.ApiSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "The admin's session; changes need X-CSRFToken."}


class SignInBody(Body):
    username = Text(max_length=150)
    password = Text(max_length=1000, trim_whitespace=False)
    code = Text(max_length=40, required=False, help_text="Of the phone, or a recovery code: for who has a second factor.")


class LoginView(ApiView):
    """Name and password for a token. Too many wrong ones: 429 with `Retry-After`. An Idempotency-Key has no effect: tokens are not kept."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        request=SignInBody,
        responses={200: SignedInShape},
        auth=[],
        examples=[OpenApiExample("sign in", value={"username": "operator", "password": "…"}, request_only=True)],
    )
    def post(self, request: Any) -> Response:
        body = self.body(SignInBody)
        try:
            user = services.sign_in(body["username"], body["password"], services.client_address(request))
            second_factor.require(user, body.get("code", ""))
        except services.BadCredentials as refusal:
            raise AuthenticationFailed(str(refusal), code=refusal.code) from refusal
        token, text = services.issue_token(user)
        return Response(
            {"token": text, "expires_at": serializers.DateTimeField().to_representation(token.expires_at), "user": PersonShape(user).data},
            headers={"Cache-Control": "no-store"},
        )


class DepartmentShape(serializers.ModelSerializer):
    label = serializers.CharField(help_text="The name in the caller's language.")

    class Meta:
        model = Department
        fields = ("id", "code", "name", "name_zh", "label", "parent", "position", "is_active", "version")


class DepartmentFilters(django_filters.FilterSet):
    parent = CodeFilter(paths=("parent",), help_text="Id or code of the department above.")
    is_active = TruthFilter()
    search = django_filters.CharFilter(field_name="name", lookup_expr="icontains", max_length=80)

    class Meta:
        model = Department
        fields = ()


@extend_schema_view(list=extend_schema(summary="List departments"), retrieve=extend_schema(summary="Show a department"))
class DepartmentViewSet(ListView, DetailView, ScopedViewSet):
    """The shop's departments, as far as the caller sees them."""

    model = Department
    serializer_class = DepartmentShape
    filterset_class = DepartmentFilters
    orderings = {"id": "pk", "position": "position", "code": "code"}
    default_ordering = "position"
