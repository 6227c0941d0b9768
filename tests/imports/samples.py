"""What import tests share: the reference catalogue's people and processes, uploads, and a look at every table."""

import datetime as dt
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.catalog.models import Process
from apps.core.export import as_ods
from apps.imports.models import ImportRow, ImportRun

SAMPLES = Path(__file__).resolve().parents[2] / "fixtures" / "samples"
ORDER_DATE = dt.date(2026, 11, 21)
SALESPEOPLE = ("sales_h", "sales_c", "sales_l", "sales_n", "sales_b", "sales_q")
CODES = "CTP CUT PRT VAN LAM_G LAM_M UV FOIL_G DIE TRIM LAM_B MOUNT GLUE BOX WINDOW STAPLE PACK"
# What orders-messy.xlsx comes out as: (row, column, sentence) of what is wrong, was understood, is to be known; (row, label) of its orders.
_FORMULA = "The cell holds %s, but not its result. Open the file in a spreadsheet, save it, and upload it again."
MESSY_ERRORS = [
    (8, "Product code", "CARTONN is no known product code: did you mean CARTON?"),
    (9, "Quantity", "-200 is not above 0. Write a number from 1 to 100000000."),
    (12, "Priority", "特急 is no known priority: did you mean 紧急? Expected: low, normal, high, urgent."),
    (14, "Due date", "2025-01-01 is before the order date 2026-11-21. Write a later day, or correct the order date."),
    (15, "Product code", "The product code is blank. 包装盒 has the code CARTON: did you mean that?"),
    (16, "Quantity", _FORMULA % "=1000*3"),
    (17, "Customer", "不存在的客户 is no known customer."),
    (18, "Notes", _FORMULA % '=HYPERLINK("http://example.invalid","click")'),
    (19, "Quantity", "0 is not above 0. Write a number from 1 to 100000000."),
    (20, "Product code", "CARDS stands in row 4 of the same order already. Leave one of the two out, or add the quantities."),
    (25, "Quantity", "99999999999 is too large. Write a number from 1 to 100000000."),
]
MESSY_READ = [
    (5, "Quantity", "1，500 is read as 1500."),
    (7, "Due date", "12月18日 is read as 2026-12-18."),
    (11, "Quantity", "２０００ is read as 2000."),
    (22, "Quantity", "1.5万 is read as 15000."),
]
MESSY_NOTES = [
    (None, "", "The header is in row 3; what stands above it was left out."),
    (None, "", "Blank rows left out: 2."),
    (30, "", "The row of totals was left out."),
]
MESSY_ORDERS = [
    (10, "PO-26103 · 绿野食品"),
    (11, "PO-26104 · 南洋茶业"),
    (22, "PO-26112 · 启明教育"),
    (24, "PO-26113 · 启明教育"),
    (28, "PO-26115 · 海川医药"),
    (29, "PO-26116 · 绿野食品"),
]


def make_reference_people_and_processes() -> None:
    """What catalogue.xlsx refers to."""
    group = Group.objects.get(name=Role.SALESPERSON)
    for name in SALESPEOPLE:
        User.objects.create(username=name, password="!").groups.add(group)
    known = set(Process.objects.values_list("code", flat=True))
    Process.objects.bulk_create(Process(code=code, name=code.lower()) for code in CODES.split() if code not in known)


def sample(name: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, (SAMPLES / name).read_bytes())


def workbook(*rows: Sequence[Any], name: str = "orders.xlsx", title: str = "Sheet1") -> SimpleUploadedFile:
    """An xlsx of one sheet."""
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return SimpleUploadedFile(name, stream.getvalue())


def opendocument(*rows: Sequence[Any], name: str = "orders.ods") -> SimpleUploadedFile:
    """An ods of one table."""
    return SimpleUploadedFile(name, as_ods(rows).read())


def options() -> dict[str, Any]:
    """What the form of the orders stores: the first maker, and a day that the samples' dates follow."""
    return {"maker": User.objects.with_role(Role.MAKER).first().pk, "order_date": ORDER_DATE.isoformat()}


def errors(run: ImportRun) -> list[tuple[int, str, str]]:
    """(row, column, sentence) of every error."""
    return [(one["row"], one["column"], one["message"]) for one in run.problems if one["level"] == "error"]


def every_table(*, but: Sequence[type] = (ImportRun, ImportRow)) -> dict[str, list]:
    """All rows of all tables of the database."""
    skipped = {model._meta.label for model in but}
    return {
        model._meta.label: sorted(map(str, model._base_manager.values_list()))
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and model._meta.label not in skipped
    }
