"""Signing in on a handheld by badge and PIN, signing out of whatever one is signed in to, and who one is."""

from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.response import Response

from apps.accounts.services import BadCredentials, revoke_token
from apps.accounts.shapes import PersonShape, PlaceShape, SignedInShape
from apps.core.api import ApiView, device_of
from apps.core.shapes import Body, Nothing, Text
from apps.scanning.authentication import DeviceAlone, PersonOrDevice
from apps.scanning.models import OperatorSession
from apps.scanning.services import devices


class FloorScheme(OpenApiAuthenticationExtension):
    target_class = "apps.scanning.authentication.FloorAuthentication"
    name = "floor"

    def get_security_definition(self, auto_schema: Any) -> dict:
        said = "Token dks_… of a person signed in on a handheld; Token dkd_… of the handheld alone for resolve, badge and me"
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": said}


class BadgeBody(Body):
    badge = Text(max_length=300, help_text="The badge's code as it was scanned: E and its number.")
    pin = Text(max_length=40, trim_whitespace=False)


class BadgedInShape(SignedInShape):
    """The session on this handheld: until `expires_at` at the latest, or until nobody used it for `idle_minutes`."""

    idle_minutes = serializers.IntegerField()


class PinBody(Body):
    pin = Text(max_length=40, trim_whitespace=False, help_text="The present one.")
    new_pin = Text(max_length=40, trim_whitespace=False, help_text="4 to 8 digits, none that everybody tries first.")


class DeviceShape(serializers.Serializer):
    """A handheld."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    department = serializers.CharField(source="department.code")


class MeShape(serializers.Serializer):
    """Who sends the request: a person, a handheld, or a person on a handheld. A handheld alone has no id and no name of a person."""

    id = serializers.IntegerField(allow_null=True)
    username = serializers.CharField()
    name = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())
    departments = PlaceShape(many=True)
    device = DeviceShape(allow_null=True)


class BadgeView(ApiView):
    """Badge and PIN for a session on the handheld whose token the request carries. It ends the session before it on this handheld.

    Five wrong ones of a badge on a handheld: 429 with `Retry-After`. An Idempotency-Key has no effect: tokens are not kept.
    """

    takes_device = True
    takes_key = False
    permission_classes = [PersonOrDevice]

    @extend_schema(
        request=BadgeBody,
        responses={200: BadgedInShape},
        examples=[OpenApiExample("badge in", value={"badge": "E7K", "pin": "…"}, request_only=True)],
    )
    def post(self, request: Any) -> Response:
        if not isinstance(request.auth, DeviceAlone):
            raise PermissionDenied(_("Only a handheld takes a badge. Send the handheld's own token."), code="device_needed")
        body = self.body(BadgeBody)
        try:
            session, text = devices.badge_in(request.auth.device, body["badge"], body["pin"])
        except BadCredentials as refusal:
            raise AuthenticationFailed(str(refusal), code=refusal.code) from refusal
        shown = {
            "token": text,
            "expires_at": serializers.DateTimeField().to_representation(session.expires_at),
            "idle_minutes": settings.DOCKET_BADGE_MINUTES,
            "user": PersonShape(session.user).data,
        }
        return Response(shown, headers={"Cache-Control": "no-store"})


class PinView(ApiView):
    """Sets one's own PIN. Wrong present ones count like those of signing in. An Idempotency-Key has no effect."""

    takes_key = False

    @extend_schema(
        request=PinBody,
        responses={204: None},
        examples=[OpenApiExample("new PIN", value={"pin": "…", "new_pin": "…"}, request_only=True)],
    )
    def post(self, request: Any) -> Response:
        body = self.body(PinBody)
        devices.change_pin(request.user, body["pin"], body["new_pin"], device=device_of(request))
        return Response(status=204)


class LogoutView(ApiView):
    """Ends the token or the session that the request came with: a handheld's, the API's or the admin's."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Any) -> Response:
        self.body(Nothing)
        if isinstance(request.auth, OperatorSession):
            devices.end_session(request.auth, by=request.user)
        elif request.auth is not None:
            revoke_token(request.auth, by=request.user)
        else:
            logout(request)
        return Response(status=204)


class MeView(ApiView):
    """Who is signed in, with roles and departments, and on which handheld."""

    takes_device = True
    permission_classes = [PersonOrDevice]

    @extend_schema(responses=MeShape)
    def get(self, request: Any) -> Response:
        device = device_of(request)
        person = {"id": None, "username": "", "name": "", "roles": [], "departments": []}
        if request.user.is_authenticated:
            person = PersonShape(request.user).data
        return Response({**person, "device": DeviceShape(device).data if device else None})
