"""The home page's own addresses, below the admin's."""

from django.contrib import admin
from django.urls import path

from apps.dashboard import manual, search, signing_in, views

app_name = "dashboard"
urlpatterns = [
    path("search/", admin.site.admin_view(search.search), name="search"),
    path("home/panels/", views.panels, name="panels"),
    path("home/notices/read/", admin.site.admin_view(views.read_notices), name="read_notices"),
    path("home/notices/<int:pk>/open/", admin.site.admin_view(views.open_notice), name="open_notice"),
    path("login/", signing_in.sign_in, name="sign_in"),
    path("login/code/", signing_in.sign_in_code, name="sign_in_code"),
    path("confirm/", admin.site.admin_view(signing_in.confirm), name="confirm"),
    path("password_change/", admin.site.admin_view(views.change_password), name="change_password"),
    path("manual/", admin.site.admin_view(manual.manual), name="manual"),
    path("account/", admin.site.admin_view(views.account), name="account"),
    path("account/sessions/end/", admin.site.admin_view(views.end_own_session), name="end_session"),
    path("account/second-factor/", admin.site.admin_view(signing_in.second_factor), name="second_factor"),
    path("account/tokens/<int:pk>/revoke/", admin.site.admin_view(views.revoke_own_token), name="revoke_token"),
    path("dispatch/preview/<int:pk>/", admin.site.admin_view(views.preview), name="preview"),
]
