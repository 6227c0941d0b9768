"""The home page's own addresses, below the admin's."""

from django.contrib import admin
from django.urls import path

from apps.dashboard import search, views

app_name = "dashboard"
urlpatterns = [
    path("search/", admin.site.admin_view(search.search), name="search"),
    path("home/panels/", views.panels, name="panels"),
    path("home/notices/read/", admin.site.admin_view(views.read_notices), name="read_notices"),
    path("home/notices/<int:pk>/open/", admin.site.admin_view(views.open_notice), name="open_notice"),
    path("password_change/", admin.site.admin_view(views.change_password), name="change_password"),
    path("account/", admin.site.admin_view(views.account), name="account"),
    path("account/tokens/<int:pk>/revoke/", admin.site.admin_view(views.revoke_own_token), name="revoke_token"),
    path("dispatch/preview/<int:pk>/", admin.site.admin_view(views.preview), name="preview"),
]
