"""One factory for each model: the smallest valid row. Stories go through the services (tests/shop.py), not through these."""

import uuid
from datetime import timedelta

import factory
from django.contrib.auth.models import Permission
from django.utils import timezone
from factory.django import DjangoModelFactory

from apps.accounts.models import AccessToken, Department, Membership, OpenSession, SecondFactor, User
from apps.catalog.models import Customer, Process, Product, Route, RouteStep, Tool, ToolKind
from apps.core.models import Bucket, Heartbeat, Hold, IdempotencyKey, JobRun, Tally
from apps.dispatch.models import DispatchDecision, DispatchRule
from apps.imports.models import ExportRun, ImportProfile, ImportRow, ImportRun, SavedExport
from apps.notices.models import Notice
from apps.ops.models import Backup
from apps.scanning.models import Badge, Device, LinkedCode, OperatorSession, Paper, Printout, Scan
from apps.workorders.models import (
    NumberSeries,
    OrderLine,
    OrderMaterial,
    Step,
    Task,
    TaskGroupShare,
    TaskUserShare,
    WorkEvent,
    WorkOrder,
    WorkOrderGroupShare,
    WorkOrderUserShare,
)


class BucketFactory(DjangoModelFactory):
    key = factory.Sequence("bucket:{}".format)
    tokens = 5
    updated_at = factory.LazyFunction(lambda: timezone.now().timestamp())

    class Meta:
        model = Bucket


class IdempotencyKeyFactory(DjangoModelFactory):
    owner = "user:1"
    key = factory.Sequence("key-{}".format)
    fingerprint = "0" * 64

    class Meta:
        model = IdempotencyKey


class HoldFactory(DjangoModelFactory):
    name = factory.Sequence("hold-{}".format)
    since = factory.LazyFunction(timezone.now)

    class Meta:
        model = Hold


class HeartbeatFactory(DjangoModelFactory):
    name = factory.Sequence("worker-{}".format)
    beat_at = factory.LazyFunction(timezone.now)

    class Meta:
        model = Heartbeat


class UserFactory(DjangoModelFactory):
    username = factory.Sequence("user_{}".format)
    name = factory.LazyAttribute(lambda user: user.username.replace("_", " ").title())
    is_staff = True
    password = "!"  # signs in by force_login; a test of signing in sets its own

    class Meta:
        model = User


class DepartmentFactory(DjangoModelFactory):
    code = factory.Sequence("department_{}".format)
    name = factory.Sequence("Department {}".format)
    name_zh = factory.Sequence("部门{}".format)

    class Meta:
        model = Department


class MembershipFactory(DjangoModelFactory):
    user = factory.SubFactory(UserFactory)
    department = factory.SubFactory(DepartmentFactory)

    class Meta:
        model = Membership


class AccessTokenFactory(DjangoModelFactory):
    user = factory.SubFactory(UserFactory)
    prefix = "docket_abcde"
    digest = factory.Sequence("{:064d}".format)
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=1))

    class Meta:
        model = AccessToken


class OpenSessionFactory(DjangoModelFactory):
    user = factory.SubFactory(UserFactory)
    session_key = factory.Sequence("{:032d}".format)
    session_data = ""
    expire_date = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=12))

    class Meta:
        model = OpenSession


class SecondFactorFactory(DjangoModelFactory):
    user = factory.SubFactory(UserFactory)
    sealed = "00" * 40
    confirmed_at = factory.LazyFunction(timezone.now)

    class Meta:
        model = SecondFactor


class NoticeFactory(DjangoModelFactory):
    user = factory.SubFactory(UserFactory)
    kind = "order_completed"
    params = factory.LazyFunction(lambda: {"number": "202611-0001"})

    class Meta:
        model = Notice


class ImportRunFactory(DjangoModelFactory):
    resource = "customers"
    owner = factory.SubFactory(UserFactory)
    file = "imports/none.csv"
    file_name = "orders.csv"
    sha256 = "0" * 64
    state = "planned"
    tables = factory.LazyFunction(lambda: [{"sheet": "", "columns": ["code", "name"]}])

    class Meta:
        model = ImportRun


class ImportProfileFactory(DjangoModelFactory):
    resource = "customers"
    owner = factory.SubFactory(UserFactory)
    name = factory.Sequence("Sender {}".format)
    columns = factory.LazyFunction(lambda: {"0": {"nummer": "code"}})

    class Meta:
        model = ImportProfile


class SavedExportFactory(DjangoModelFactory):
    owner = factory.SubFactory(UserFactory)
    name = factory.Sequence("Every day {}".format)
    resource = "catalog.customer"

    class Meta:
        model = SavedExport


class ExportRunFactory(DjangoModelFactory):
    owner = factory.SubFactory(UserFactory)
    resource = "catalog.customer"
    format = "csv"

    class Meta:
        model = ExportRun


class ImportRowFactory(DjangoModelFactory):
    run = factory.SubFactory(ImportRunFactory)
    number = factory.Sequence(lambda number: number + 2)
    unit = factory.SelfAttribute("number")
    action = "create"

    class Meta:
        model = ImportRow


class CustomerFactory(DjangoModelFactory):
    code = factory.Sequence("C{:03d}".format)
    name = factory.Sequence("Customer {}".format)

    class Meta:
        model = Customer


class ProcessFactory(DjangoModelFactory):
    code = factory.Sequence("P{:03d}".format)
    name = factory.Sequence("Process {}".format)
    name_zh = factory.Sequence("工序{}".format)
    setup_minutes = 10
    minutes_per_1000 = 20

    class Meta:
        model = Process


class RouteFactory(DjangoModelFactory):
    code = factory.Sequence("R{:03d}".format)
    name = factory.Sequence("Route {}".format)

    class Meta:
        model = Route


class RouteStepFactory(DjangoModelFactory):
    route = factory.SubFactory(RouteFactory)
    process = factory.SubFactory(ProcessFactory)
    position = factory.Sequence(lambda number: number % 30_000 + 1)

    class Meta:
        model = RouteStep


class ProductFactory(DjangoModelFactory):
    code = factory.Sequence("PRODUCT-{}".format)
    name = factory.Sequence("Product {}".format)

    class Meta:
        model = Product


class ToolFactory(DjangoModelFactory):
    kind = ToolKind.ARTWORK
    code = factory.Sequence("A{:04d}".format)

    class Meta:
        model = Tool


class DispatchRuleFactory(DjangoModelFactory):
    process = factory.SubFactory(ProcessFactory)
    department = factory.SubFactory(DepartmentFactory)

    class Meta:
        model = DispatchRule


class NumberSeriesFactory(DjangoModelFactory):
    prefix = factory.Sequence("series{}-".format)

    class Meta:
        model = NumberSeries


class WorkOrderFactory(DjangoModelFactory):
    number = factory.Sequence("F-{:06d}".format)
    customer = factory.SubFactory(CustomerFactory)
    created_by = factory.SubFactory(UserFactory)
    maker = factory.SelfAttribute("created_by")
    due_date = factory.LazyFunction(lambda: timezone.localdate() + timedelta(days=7))
    run_quantity = 1000

    class Meta:
        model = WorkOrder


class OrderLineFactory(DjangoModelFactory):
    order = factory.SubFactory(WorkOrderFactory)
    product = factory.SubFactory(ProductFactory)
    quantity = 1000
    unit = factory.SelfAttribute("product.unit")

    class Meta:
        model = OrderLine


class OrderMaterialFactory(DjangoModelFactory):
    order = factory.SubFactory(WorkOrderFactory)
    name = factory.Sequence("Paper {}".format)
    size = "889x1194"
    amount = 500

    class Meta:
        model = OrderMaterial


class StepFactory(DjangoModelFactory):
    order = factory.SubFactory(WorkOrderFactory)
    process = factory.SubFactory(ProcessFactory)
    sequence = factory.Sequence(lambda number: number % 30_000 + 1)
    planned = 1000

    class Meta:
        model = Step


class TaskFactory(DjangoModelFactory):
    order = factory.SubFactory(WorkOrderFactory)
    step = factory.SubFactory(StepFactory, order=factory.SelfAttribute("..order"))
    source_key = "order"
    planned = 1000

    class Meta:
        model = Task


class DispatchDecisionFactory(DjangoModelFactory):
    task = factory.SubFactory(TaskFactory)
    task_version = factory.SelfAttribute("task.version")

    class Meta:
        model = DispatchDecision


class WorkEventFactory(DjangoModelFactory):
    order = factory.SubFactory(WorkOrderFactory)
    order_number = factory.SelfAttribute("order.number")
    verb = "create"
    actor = factory.SubFactory(UserFactory)
    request_id = "factory"

    class Meta:
        model = WorkEvent


def _permission(codename: str) -> Permission:
    return Permission.objects.get(content_type__app_label="workorders", codename=codename)


class WorkOrderUserShareFactory(DjangoModelFactory):
    content_object = factory.SubFactory(WorkOrderFactory)
    user = factory.SubFactory(UserFactory)
    permission = factory.LazyFunction(lambda: _permission("view_workorder"))

    class Meta:
        model = WorkOrderUserShare


class GroupFactory(DjangoModelFactory):
    name = factory.Sequence("group {}".format)

    class Meta:
        model = "auth.Group"


class WorkOrderGroupShareFactory(DjangoModelFactory):
    content_object = factory.SubFactory(WorkOrderFactory)
    group = factory.SubFactory(GroupFactory)
    permission = factory.LazyFunction(lambda: _permission("view_workorder"))

    class Meta:
        model = WorkOrderGroupShare


class TaskUserShareFactory(DjangoModelFactory):
    content_object = factory.SubFactory(TaskFactory)
    user = factory.SubFactory(UserFactory)
    permission = factory.LazyFunction(lambda: _permission("view_task"))

    class Meta:
        model = TaskUserShare


class TaskGroupShareFactory(DjangoModelFactory):
    content_object = factory.SubFactory(TaskFactory)
    group = factory.SubFactory(GroupFactory)
    permission = factory.LazyFunction(lambda: _permission("view_task"))

    class Meta:
        model = TaskGroupShare


class DeviceFactory(DjangoModelFactory):
    name = factory.Sequence("Handheld {}".format)
    department = factory.SubFactory(DepartmentFactory)
    prefix = "dkd_00000000"
    digest = factory.Sequence("{:064x}".format)

    class Meta:
        model = Device


class BadgeFactory(DjangoModelFactory):
    user = factory.SubFactory(UserFactory)
    pin = "!"
    issued_by = factory.SelfAttribute("user")

    class Meta:
        model = Badge


class OperatorSessionFactory(DjangoModelFactory):
    device = factory.SubFactory(DeviceFactory)
    badge = factory.SubFactory(BadgeFactory)
    user = factory.SelfAttribute("badge.user")
    prefix = "dks_00000000"
    digest = factory.Sequence("{:064x}".format)
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=12))

    class Meta:
        model = OperatorSession


class ScanFactory(DjangoModelFactory):
    user = factory.SubFactory(UserFactory)
    client_event_id = factory.LazyFunction(uuid.uuid4)
    code = "T1"
    raw = factory.LazyFunction(dict)

    class Meta:
        model = Scan


class LinkedCodeFactory(DjangoModelFactory):
    code = factory.Sequence("CUSTOMER-{}".format)
    order = factory.SubFactory(WorkOrderFactory)
    linked_by = factory.SubFactory(UserFactory)

    class Meta:
        model = LinkedCode


class PrintoutFactory(DjangoModelFactory):
    order = factory.SubFactory(WorkOrderFactory)
    paper = Paper.TICKET
    revision = 1
    printed_by = factory.SubFactory(UserFactory)

    class Meta:
        model = Printout


class BackupFactory(DjangoModelFactory):
    name = factory.Sequence("docket-20261121T0200{:02}Z-abcd".format)
    started_at = factory.LazyFunction(timezone.now)

    class Meta:
        model = Backup


class JobRunFactory(DjangoModelFactory):
    key = factory.Sequence("job-{}".format)
    name = "core.purge"
    started_at = factory.LazyFunction(timezone.now)

    class Meta:
        model = JobRun


class TallyFactory(DjangoModelFactory):
    name = factory.Sequence("tally-{}".format)

    class Meta:
        model = Tally
