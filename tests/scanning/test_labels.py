"""Labels of tasks and badges of people: every sheet, every place on it, and codes that can be read."""

from datetime import date

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone, translation

from apps.core.errors import InvalidInput, RuleError
from apps.scanning import codes
from apps.scanning.models import Badge, Printout
from apps.scanning.models import Paper as Kind
from apps.scanning.printing import badges_pdf, labels_pdf
from apps.scanning.printing.reading import print_badges, print_labels
from apps.scanning.printing.sheets import A4, SHEETS
from apps.workorders.models import Task
from tests.factories import BadgeFactory
from tests.personas import again
from tests.queries import count_queries
from tests.scanning.paper import Paper

pytestmark = pytest.mark.once

HOST = "https://docket.example.com"


def labels(tasks, *, by, sheet="a4-2x7", start=1, language="en"):
    with translation.override(language):
        return Paper(labels_pdf(tasks, sheet=sheet, by=by, host=HOST, start=start))


@pytest.fixture
def tasks(approved_order):
    return list(Task.objects.filter(order=approved_order))


@pytest.mark.parametrize("sheet", list(SHEETS))
def test_codes_of_labels_are_read_from_every_sheet(tasks, planner, sheet):
    paper = labels(tasks, by=planner, sheet=sheet, start=min(3, SHEETS[sheet].count))
    wanted = {codes.encode(codes.Kind.TASK_PAPER, task.pk, task.order.revision) for task in tasks}
    read = paper.codes()
    assert read["CODE-128"] == wanted
    assert read["QR-Code"] == {codes.address(code, HOST) for code in wanted}
    assert {codes.parse(code).number for code in read["CODE-128"]} == {task.pk for task in tasks}
    assert paper.faults() == []


@pytest.mark.parametrize("sheet", list(SHEETS))
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_label_says_what_where_how_many_and_until_when(shop, planner, sheet, language):
    order = shop.approved(due_date=date(2031, 12, 30))
    text = " ".join(labels([shop.task(order, "PRT")], by=planner, sheet=sheet, language=language).text().split())
    process = "printing" if language == "en" else "印刷"
    for said in (
        order.number,
        str(shop.task(order, "PRT")),
        process,
        "TOOL-leaflet v1",
        "1,000" if language == "en" else "1000",
        "2031-12-30",
    ):
        assert said in text, said


@pytest.mark.parametrize("sheet", list(SHEETS))
def test_long_names_stay_on_their_label(shop, planner, sheet):
    shop.products["leaflet"].name = ("晨光彩盒（礼品装）Faltschachtel Süßwaren " * 5)[:120]
    shop.products["leaflet"].save()
    shop.processes["PACK"].name = "packing into cartons of 500 with inlays and"
    shop.processes["PACK"].save()
    order = shop.approved(("leaflet", 100_000_000), ("leaflet", 99_999_999))
    paper = labels(order.tasks.all(), by=planner, sheet=sheet)
    assert paper.faults() == []
    assert len(paper.codes()["CODE-128"]) == 5


@pytest.mark.parametrize(("sheet", "pages"), [("a4-3x8", 2), ("a4-2x7", 2), ("a4-2x5", 3), ("roll-100x50", 25)])
def test_a_sheet_that_is_full_goes_on_on_the_next(shop, planner, sheet, pages):
    order = shop.draft(*[("leaflet", 100 + number) for number in range(22)])
    assert order.tasks.count() == 25
    paper = labels(order.tasks.all(), by=planner, sheet=sheet)
    assert paper.count == pages
    assert paper.size == ((100, 50) if sheet == "roll-100x50" else (210, 297))


def test_printing_begins_at_the_first_free_label(tasks, planner):
    first = tasks[0]
    for start, x, y in ((1, 0, 0), (3, 2, 0), (4, 0, 1), (24, 2, 7)):
        word = next(word for word in labels([first], by=planner, sheet="a4-3x8", start=start).words()[0] if word.text == first.order.number)
        place = (word.left / 72 * 25.4 // 70, (word.top / 72 * 25.4 - 0.5) // 37)
        assert place == (x, y)
    assert labels(tasks[:2], by=planner, sheet="a4-3x8", start=24).count == 2


def test_labels_lie_on_their_sheet_and_beside_each_other():
    for sheet in SHEETS.values():
        for place in range(sheet.count):
            x, y = sheet.corner(place)
            assert x >= 0
            assert y >= 0
            assert x + sheet.label[0] <= sheet.page[0] + 0.01
            assert y + sheet.label[1] <= sheet.page[1] + 0.01
        assert sheet.pitch[0] >= sheet.label[0]
        assert sheet.pitch[1] >= sheet.label[1]
    assert {sheet.page for sheet in SHEETS.values()} == {A4, (100, 50)}


def test_labels_are_recorded_once_for_each_order(shop, planner):
    first, second = shop.approved(), shop.approved()
    labels_pdf(Task.objects.filter(order__in=[first, second]), sheet="roll-100x50", by=planner, host=HOST)
    rows = list(Printout.objects.order_by("pk"))
    assert [(row.order, row.paper, row.revision, row.printed_by) for row in rows] == [
        (first, Kind.LABELS, 1, planner),
        (second, Kind.LABELS, 1, planner),
    ]


@pytest.mark.parametrize(
    ("sheet", "start", "code", "sentence"),
    [
        ("a5", 1, "unknown", "There is no such sheet. Choose one from the list."),
        ("a4-3x8", 0, "bad_number", "This sheet has 24 labels. Enter a position from 1 to 24."),
        ("a4-2x5", 11, "bad_number", "This sheet has 10 labels. Enter a position from 1 to 10."),
    ],
)
def test_a_place_that_no_sheet_has_is_refused(tasks, planner, sheet, start, code, sentence):
    with pytest.raises(InvalidInput) as refused:
        print_labels(tasks, sheet=sheet, by=planner, host=HOST, start=start)
    assert (refused.value.code, str(refused.value)) == (code, sentence)
    assert Printout.objects.count() == 0


def test_at_most_500_labels_are_printed_at_once(tasks, planner):
    with pytest.raises(RuleError) as refused:
        print_labels([tasks[0]] * 501, sheet="a4-3x8", by=planner, host=HOST)
    assert (refused.value.code, str(refused.value)) == ("too_many", "At most 500 labels are printed at once. Select fewer tasks.")
    with pytest.raises(InvalidInput):
        print_labels([], sheet="a4-3x8", by=planner, host=HOST)


@pytest.mark.parametrize(
    ("persona", "may"),
    [
        ("maker", True), ("salesperson", True), ("supervisor", True), ("planner", True),
        ("other_maker", False), ("prepress_lead", False), ("operator", False), ("stranger", False), ("auditor", False),
        ("administrator", False), ("nobody", False),
    ],
)  # fmt: skip
def test_who_may_print_a_label(shop, approved_order, everybody, persona, may):
    task, by = shop.task(approved_order, "PRT"), again(everybody[persona])
    if may:
        assert labels_pdf([task], sheet="roll-100x50", by=by, host=HOST).startswith(b"%PDF")
    else:
        with pytest.raises(PermissionDenied):
            labels_pdf([task], sheet="roll-100x50", by=by, host=HOST)
    assert Printout.objects.count() == int(may)


def test_50_labels_cost_as_many_queries_as_2(shop, planner):
    counts = []
    for order in (shop.approved(), shop.approved(*[("leaflet", 100 + number) for number in range(47)])):
        by, tasks = again(planner), list(order.tasks.all())
        with count_queries(5) as statements:
            labels_pdf(tasks, sheet="a4-3x8", by=by, host=HOST)
        counts.append(len(statements))
    assert counts[0] == counts[1]


# -- badges


@pytest.mark.parametrize("sheet", list(SHEETS))
def test_a_badge_shows_name_department_and_code_and_no_pin(shop, operator, supervisor, administrator, sheet):
    operator.name = "王小明 Wolfgang"
    operator.save()
    badge = BadgeFactory(user=operator, pin="argon2$4711", issued_by=administrator)
    paper = Paper(badges_pdf([badge], sheet=sheet, by=again(supervisor)))
    code = codes.encode(codes.Kind.BADGE, badge.pk)
    assert paper.codes() == {"CODE-128": {code}, "QR-Code": {code}}
    text = " ".join(paper.text().split())
    assert "王小明 Wolfgang" in text
    assert "printing" in text
    assert code in text
    assert "4711" not in text
    assert b"4711" not in paper.path.read_bytes()
    assert paper.faults() == []


def test_a_revoked_badge_is_not_printed(shop, operator, administrator):
    badge = BadgeFactory(user=operator, revoked_at=timezone.now())
    with pytest.raises(RuleError) as refused:
        print_badges([badge], sheet="a4-3x8", by=administrator)
    assert refused.value.code == "revoked"
    assert str(refused.value) == "The badge of Operator is revoked: nobody can sign in with it. Issue a new one."


@pytest.mark.parametrize(
    ("persona", "may"),
    [
        ("administrator", True), ("superuser", True), ("supervisor", True),
        ("prepress_lead", False), ("planner", False), ("auditor", False), ("maker", False), ("operator", False), ("nobody", False),
    ],
)  # fmt: skip
def test_who_may_print_a_badge(shop, everybody, operator, persona, may):
    badge = BadgeFactory(user=operator)
    by = again(everybody[persona])
    if may:
        assert badges_pdf([badge], sheet="roll-100x50", by=by).startswith(b"%PDF")
    else:
        with pytest.raises(PermissionDenied):
            badges_pdf([badge], sheet="roll-100x50", by=by)


def test_30_badges_cost_as_many_queries_as_2(shop, administrator):
    counts = []
    for number in (2, 30):
        BadgeFactory.create_batch(number)
        by, badges = again(administrator), list(Badge.objects.all())
        with count_queries(4) as statements:
            badges_pdf(badges, sheet="a4-3x8", by=by)
        counts.append(len(statements))
    assert counts[0] == counts[1]
