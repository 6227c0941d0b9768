"""Every address of the API."""

from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from apps.accounts.api import DepartmentViewSet, LoginView
from apps.catalog.api import CustomerViewSet, ProcessViewSet, ProductViewSet
from apps.core.guides import HandheldGuide
from apps.core.problems import not_found
from apps.dashboard.api import CollaborationView, DepartmentWorkloadView, OverviewView, TaskSummaryView
from apps.notices.api import NoticeViewSet
from apps.scanning.api.auth import BadgeView, LogoutView, MeView, PinView
from apps.scanning.api.scans import ScanViewSet
from apps.workorders.api.changes import ChangesView
from apps.workorders.api.orders import WorkOrderViewSet
from apps.workorders.api.tasks import TaskViewSet

router = SimpleRouter()
router.register("tasks", TaskViewSet, basename="task")
router.register("scans", ScanViewSet, basename="scan")
router.register("workorders", WorkOrderViewSet, basename="workorder")
router.register("customers", CustomerViewSet, basename="customer")
router.register("products", ProductViewSet, basename="product")
router.register("processes", ProcessViewSet, basename="process")
router.register("departments", DepartmentViewSet, basename="department")
router.register("notifications", NoticeViewSet, basename="notification")

urlpatterns = [
    path("auth/login/", LoginView.as_view(), name="login"),
    path("auth/logout/", LogoutView.as_view(), name="logout"),
    path("auth/badge/", BadgeView.as_view(), name="badge"),
    path("auth/pin/", PinView.as_view(), name="pin"),
    path("auth/me/", MeView.as_view(), name="me"),
    path("changes/", ChangesView.as_view(), name="changes"),
    path("statistics/task_summary/", TaskSummaryView.as_view(), name="task-summary"),
    path("statistics/department_workload/", DepartmentWorkloadView.as_view(), name="department-workload"),
    path("statistics/collaboration/", CollaborationView.as_view(), name="collaboration"),
    path("dashboard/statistics/", OverviewView.as_view(), name="overview"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api:schema"), name="docs"),
    path("docs/handhelds.md", HandheldGuide.as_view(), name="handhelds"),
    path("redoc/", SpectacularRedocView.as_view(url_name="api:schema"), name="redoc"),
    path("", include(router.urls)),
    re_path(r"", csrf_exempt(not_found), name="unknown"),
]
