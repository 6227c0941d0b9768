"""The job ticket: what is on it, that its codes can be read, and that nothing runs out of its pages."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone, translation

from apps.catalog.models import Tool, ToolKind
from apps.core.errors import InvalidInput, RuleError
from apps.scanning import codes
from apps.scanning.models import Paper as Kind
from apps.scanning.models import Printout
from apps.scanning.printing import ticket_pdf, what_changed
from apps.scanning.printing.reading import print_tickets
from apps.scanning.printing.text import fit, runs, width_of, wrap
from apps.scanning.services.finding import resolve
from apps.workorders import services as do
from apps.workorders.models import OrderMaterial, Task, WorkOrder
from tests.factories import PrintoutFactory
from tests.personas import again
from tests.queries import count_queries
from tests.scanning.paper import Paper

pytestmark = pytest.mark.once

HOST = "https://docket.example.com"
HOSTS = ["docket.example.com"]
LONG = "请注意：四色套印必须准确，色差不得超过标准样张。Kraft paper 350 g/m², keep dry — “fragile”. "


def ticket(*orders, by, language="en"):
    with translation.override(language):
        return Paper(ticket_pdf(orders, by=by, host=HOST))


def expected_codes(order):
    rows = [codes.encode(codes.Kind.ORDER_PAPER, order.pk, order.revision)]
    rows += [codes.encode(codes.Kind.TASK_PAPER, task.pk, order.revision) for task in order.tasks.all()]
    strip = [codes.encode(codes.Kind.COMMAND, number) for number in (1, 2, 3, 4)]
    strip += [codes.encode(codes.Kind.REASON, number) for number in range(1, 12)]
    return rows, strip


# -- codes


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_code_on_a_ticket_is_read_by_a_stranger_and_means_what_it_stands_beside(shop, approved_order, planner, language):
    rows, strip = expected_codes(approved_order)
    read = ticket(approved_order, by=planner, language=language).codes()
    assert read["CODE-128"] == {*rows, *strip}
    assert read["QR-Code"] == {*(codes.address(code, HOST) for code in rows), *strip}
    parsed = [codes.parse(text, hosts=HOSTS) for text in read["QR-Code"]]
    assert {one.number for one in parsed if one.kind == codes.Kind.TASK} == set(approved_order.tasks.values_list("pk", flat=True))
    assert {one.number for one in parsed if one.kind == codes.Kind.ORDER} == {approved_order.pk}
    assert {one.revision for one in parsed if one.kind in (codes.Kind.TASK, codes.Kind.ORDER)} == {approved_order.revision}


def test_codes_of_many_tasks_are_read_from_every_page(shop, planner):
    order = shop.approved(*[("leaflet", 100 + number) for number in range(47)])
    assert order.tasks.count() == 50
    rows, strip = expected_codes(order)
    paper = ticket(order, by=planner)
    read = paper.codes()
    assert read["CODE-128"] == {*rows, *strip}
    assert read["QR-Code"] == {*(codes.address(code, HOST) for code in rows), *strip}


def test_a_cancelled_task_has_no_code(shop, approved_order, supervisor, planner):
    task = shop.ready_to_print(approved_order)
    do.cancel_task(task, by=supervisor, reason="Not needed.")
    read = ticket(approved_order, by=planner).codes()
    assert codes.encode(codes.Kind.TASK_PAPER, task.pk, approved_order.revision) not in read["CODE-128"]
    assert len(read["CODE-128"]) == 1 + 3 + 15


# -- what it says


def test_a_ticket_says_what_the_floor_asks(shop, planner):
    order = shop.approved(
        ("carton", 3000), external_number="PO-77/A", priority=4, allowance=150, process_colours="CMK", spot_colours="528C",
        printing_type="work_and_turn", ups=4, instructions="Varnish on the outside only.",
    )  # fmt: skip
    text = " ".join(ticket(order, by=planner).text().split())
    for said in (
        order.number, "PO-77/A", "Sunrise", order.due_date.isoformat(), "urgent", "1,150", "1,000 and 150 extra", "Maker",
        "CMK+528C (4)", "work and turn", "4 pieces per sheet", "carton (CARTON)", "3,000 pcs", "Coated art 157 g 889x1194",
        "500 sheets", "to be cut", "received", "TOOL-carton:die v1", "confirmed", "Varnish on the outside only.",
        "planned 1,150 press runs", "matt lamination", "Good", "Scrap", "Signature", "Start", "开工", "break or end of shift", "1 of",
    ):  # fmt: skip
        assert said in text, said


def test_a_ticket_in_chinese_is_chinese_and_keeps_latin_and_chinese_apart(shop, planner):
    order = shop.approved(instructions="四色套印 CMYK 准确，“样张” 350 g/m²。")
    text = ticket(order, by=planner, language="zh-hans").text()
    for said in ("交期", "优先级", "印刷", "四色套印 CMYK 准确", "350 g/m²", "Start", "开工", "157 g 889x1194"):
        assert said in text.replace("\n", " "), said


def test_what_is_not_received_and_not_confirmed_is_said(shop, planner):
    Tool.objects.filter(kind=ToolKind.DIE).update(confirmed_at=None, confirmed_by=None)
    order = shop.draft("carton")
    text = ticket(order, by=planner).text()
    assert text.count("not received") == 1
    assert text.count("not confirmed") == 1
    assert "DRAFT, NOT APPROVED. Do not start work." in text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("draft", "DRAFT, NOT APPROVED"),
        ("submitted", "NOT APPROVED YET"),
        ("rejected", "REJECTED, NOT APPROVED"),
        ("approved", ""),
        ("in_progress", ""),
        ("on_hold", "ON HOLD"),
        ("completed", "COMPLETED. Nothing is left to do."),
        ("cancelled", "CANCELLED. Do not work on it."),
    ],
)
def test_a_ticket_that_is_not_to_be_worked_from_says_so_on_every_page(shop, planner, status, said):
    order = shop.order_in(status)
    paper = ticket(order, by=planner)
    for page in range(1, paper.count + 1):
        text = paper.text(page)
        assert (said in text) if said else ("Do not" not in text and "NOT APPROVED" not in text)


def test_every_page_carries_number_revision_and_its_own_count(shop, planner):
    first, second = shop.approved("carton"), shop.approved()
    paper = ticket(first, second, by=planner)
    texts = [paper.text(page) for page in range(1, paper.count + 1)]
    of_first = [text for text in texts if first.number in text]
    of_second = [text for text in texts if second.number in text]
    assert len(of_first) + len(of_second) == paper.count
    for texts in (of_first, of_second):
        for number, text in enumerate(texts, 1):
            assert f"{number} of {len(texts)}" in text
            assert "revision 1" in text


def test_an_order_without_anything_can_be_printed(shop, planner, maker):
    order = do.create_order(WorkOrder(steps_text=""), lines=[], by=maker)
    paper = ticket(order, by=planner)
    assert "no customer" in paper.text()
    assert paper.count == 1


# -- room


def test_long_texts_wrap_and_stay_on_their_pages(shop, planner, maker):
    name = "Süßwaren-Faltschachtel 食品包装彩盒（礼品装）" * 2
    shop.products["leaflet"].name, shop.products["leaflet"].specification = name[:120], (LONG * 6)[:300]
    shop.products["leaflet"].save()
    shop.customer.name = ("晨光印刷包装有限责任公司 Sunrise Packaging & Printing " * 3)[:120]
    shop.customer.save()
    maker.name = "玛利亚 von Hohenstein-Württemberg 的很长的名字" * 2
    maker.name = maker.name[:80]
    maker.save()
    tool = shop.tools["leaflet"]
    tool.code, tool.name = "W" * 60, (LONG * 3)[:120]
    tool.save()
    order = shop.draft(
        *[("leaflet", 20_000_000 - number) for number in range(100)],
        external_number="X" * 60, spot_colours=("PANTONE 528C, 金, 银, " * 9)[:119], instructions=(LONG * 60)[:4000],
        materials=[
            OrderMaterial(name=("白卡纸 coated board " * 9)[:120], size="W" * 60, amount="99999999.125", needs_cutting=True)
            for _number in range(20)
        ],
    )  # fmt: skip
    for language in ("en", "zh-hans"):
        paper = ticket(order, by=planner, language=language)
        assert paper.count > 10
        assert paper.faults() == []


def test_tables_and_steps_repeat_their_heading_on_the_next_page(shop, planner):
    paper = ticket(shop.draft(*[("leaflet", 1000 + number) for number in range(100)]), by=planner)
    assert "Products …" in paper.text(2)
    assert paper.text(2).count("Specification") == 1
    pages = [paper.text(page) for page in range(1, paper.count + 1)]
    assert sum("packing …" in text for text in pages) >= 8
    assert all("Steps …" in text for text in pages if "packing …" in text)


def test_instructions_of_a_thousand_lines_are_cut(shop, planner):
    paper = ticket(shop.draft(instructions="a\n" * 2000), by=planner)
    assert paper.count <= 6


def test_text_is_measured_as_it_is_drawn():
    assert runs("A中B") == [("Helvetica", "A"), ("STSong-Light", "中"), ("Helvetica", "B")]
    assert width_of("中文", 10) == pytest.approx(20 / 72 * 25.4)
    assert width_of("A中", 10) == pytest.approx(width_of("A", 10) + width_of("中", 10))
    assert runs("Łódź 😀 Dvořák")[-1][1].endswith("ák")
    assert "".join(piece for _font, piece in runs("ő😀")) == "o□"


def test_lines_break_between_words_and_chinese_letters_and_never_before_a_comma():
    assert wrap("one two three", 10, width_of("one two", 10)) == ["one two", "three"]
    assert wrap("一二三，四", 10, width_of("一二三", 10)) == ["一二", "三，四"]
    assert wrap("（一二", 10, width_of("（一", 10)) == ["（一", "二"]
    assert wrap("abcdefgh", 10, width_of("abcd", 10)) == ["abcd", "efgh"]
    assert wrap("a\n\nb\n\n", 10, 50) == ["a", "", "b"]
    assert wrap("", 10, 50) == [""]
    assert wrap("one two three four", 10, width_of("one two", 10), most=1) == ["one t…"]
    assert fit("a\tb\x00c\u200bd", 10, 50) == "a bcd"


# -- the record


def test_each_print_is_recorded_with_who_when_and_revision(shop, approved_order, maker, planner):
    before = timezone.now()
    ticket_pdf([approved_order], by=maker, host=HOST)
    row = Printout.objects.get()
    assert (row.order, row.paper, row.revision, row.printed_by) == (approved_order, Kind.TICKET, approved_order.revision, maker)
    assert before <= row.printed_at <= timezone.now()
    paper = ticket(approved_order, by=planner)
    assert Printout.objects.count() == 2
    assert "REPRINT 1." in paper.text(1)
    assert "(revision 1)" in paper.text(1)
    assert "REPRINT 2." in ticket(approved_order, by=planner).text(1)


def test_labels_that_were_printed_do_not_make_a_reprint_of_the_ticket(approved_order, planner):
    PrintoutFactory(order=approved_order, paper=Kind.LABELS)
    assert "REPRINT" not in ticket(approved_order, by=planner).text()


def test_an_order_that_is_chosen_twice_is_printed_once(approved_order, planner):
    assert len(print_tickets([approved_order, approved_order], by=planner, host=HOST)) == 1
    assert Printout.objects.count() == 1


def test_at_most_a_hundred_tickets_are_printed_at_once(approved_order, planner):
    with pytest.raises(RuleError) as refused:
        print_tickets([approved_order] * 101, by=planner, host=HOST)
    assert (refused.value.code, str(refused.value)) == ("too_many", "At most 100 tickets are printed at once. Select fewer orders.")
    with pytest.raises(InvalidInput) as nothing:
        print_tickets([], by=planner, host=HOST)
    assert nothing.value.code == "nothing"
    assert Printout.objects.count() == 0


@pytest.mark.parametrize(
    ("persona", "may"),
    [
        ("maker", True), ("salesperson", True), ("supervisor", True), ("planner", True), ("superuser", True),
        ("other_maker", False), ("other_salesperson", False), ("operator", False), ("stranger", False), ("auditor", False),
        ("administrator", False), ("nobody", False),
    ],
)  # fmt: skip
def test_who_may_print_a_ticket(shop, approved_order, everybody, persona, may):
    by = again(everybody[persona])
    if may:
        assert ticket_pdf([approved_order], by=by, host=HOST).startswith(b"%PDF")
    else:
        with pytest.raises(PermissionDenied):
            ticket_pdf([approved_order], by=by, host=HOST)
    assert Printout.objects.count() == int(may)


def test_a_supervisor_prints_the_tasks_that_he_sees_and_hears_of_the_others(shop, approved_order, supervisor):
    paper = ticket(approved_order, by=again(supervisor))
    unseen = Task.objects.filter(order=approved_order).exclude(pk__in=Task.objects.visible_to(again(supervisor)))
    assert unseen.count() == 1
    assert "1 task of another department is not on this ticket." in paper.text()
    assert str(codes.encode(codes.Kind.TASK_PAPER, unseen.get().pk, 1)) not in paper.codes()["CODE-128"]


def test_a_ticket_of_50_tasks_costs_as_many_queries_as_one_of_2(shop, planner):
    counts = []
    for order in (shop.approved(), shop.approved(*[("leaflet", 100 + number) for number in range(50)])):
        by = again(planner)
        with count_queries(11) as statements:
            ticket_pdf([order], by=by, host=HOST)
        counts.append(len(statements))
    by, orders = again(planner), [shop.draft() for _number in range(5)]
    with count_queries(11) as statements:
        ticket_pdf(orders, by=by, host=HOST)
    counts.append(len(statements))
    assert counts[0] == counts[1] >= counts[2]


# -- what changed since


def revised(shop, order, *, lines=None, materials=None, tools=None, **changes):
    fresh = WorkOrder.objects.get(pk=order.pk)
    for name, value in changes.items():
        setattr(fresh, name, value)
    return do.revise_order(fresh, lines=lines, materials=materials, tools=tools, by=shop.people["maker"])


def test_a_paper_of_the_present_revision_is_right(shop, draft_order):
    with count_queries(0):
        assert what_changed(draft_order, draft_order.revision) == []
        assert what_changed(draft_order, draft_order.revision + 4096) == []


def test_each_change_since_the_paper_is_a_sentence(shop):
    order = shop.draft("leaflet", external_number="A-1")
    line, material = order.lines.get(), order.materials.get()
    due = order.due_date + timedelta(days=3)
    revised(shop, order, external_number="", due_date=due, priority=4, spot_colours="528C", instructions="Mind the fold.")
    line.quantity = 2000
    order = revised(shop, order, lines=[line, *shop.lines(("poster", 300))])
    material.amount = 750
    order = revised(shop, order, materials=[material, shop.paper(name="Kraft", needs_cutting=False)], tools=[shop.tools["poster"]])
    assert order.revision == 4
    told = what_changed(order, 1)
    assert set(told[:5]) >= {
        "External no.: empty now; the paper says A-1.",
        "Priority: urgent; the paper says normal.",
        f"Due date: {due}; the paper says {due - timedelta(days=3)}.",
        "Spot colours: 528C; the paper says nothing.",
    }
    for sentence in (
        "The instructions were changed. Read them on the order.",
        "Product line: leaflet × 2,000 copies; the paper says leaflet × 1,000 copies.",
        "Product line added: poster × 300 sheets.",
        "Material: Coated art 157 g 889x1194, 750 sheets, to be cut; the paper says Coated art 157 g 889x1194, 500 sheets, to be cut.",
    ):
        assert sentence in told, (sentence, told)
    assert told[-1].startswith("And ")
    assert len(told) == 12


def test_a_paper_of_a_later_revision_hears_only_what_came_after_it(shop):
    order = shop.draft()
    revised(shop, order, due_date=order.due_date + timedelta(days=1))
    order = revised(shop, order, tools=[shop.tools["leaflet"], shop.tools["poster"]])
    assert what_changed(order, 2) == [
        "Tool added: TOOL-poster v1 (artwork).",
        "Plate making, planned: 2; the paper says 1.",
        "Printing, planned: 2,000; the paper says 1,000.",
    ]
    order = revised(shop, order, tools=[shop.tools["poster"]], materials=[])
    told = what_changed(order, 3)
    assert "Tool left out: TOOL-leaflet v1 (artwork)." in told
    assert "Material left out: Coated art 157 g 889x1194, 500 sheets, to be cut." in told


def test_steps_that_came_went_and_changed_places_are_told_by_their_names(shop):
    order = shop.draft(steps_text="CTP > CUT > PRT > VAN")
    order = revised(shop, order, steps_text="CTP > PRT > VAN > EMB")
    told = what_changed(order, 1)
    assert "Step added: embossing." in told
    assert "Step left out: stock cutting." in told
    order = revised(shop, order, steps_text="CTP > VAN > PRT > EMB")
    assert what_changed(order, 2) == ["The steps come in another order now: plate making > varnishing > printing > embossing."]
    with translation.override("zh-hans"):
        assert "制版 > 过油 > 印刷 > 压凸" in what_changed(order, 2)[0]


def test_receiving_starting_and_saying_nothing_new_is_no_change_of_the_paper(shop):
    order = shop.draft()
    order = revised(shop, order)
    assert what_changed(order, 1) == ["The order was changed after this paper was printed. Print a new ticket."]


def test_a_paper_whose_revision_the_history_does_not_know_is_only_old(shop, draft_order):
    WorkOrder.history.filter(id=draft_order.pk).delete()
    order = revised(shop, draft_order, ups=2)
    sentence = "The order was changed after this paper was printed. Print a new ticket."
    assert what_changed(order, 1) == [sentence]
    assert what_changed(order, 77) == [sentence]


def test_the_revision_on_paper_is_read_modulo_4096(shop, draft_order):
    WorkOrder.objects.filter(pk=draft_order.pk).update(revision=4097)
    WorkOrder.history.filter(id=draft_order.pk).update(revision=4097)
    order = revised(shop, draft_order, ups=2)
    assert order.revision == 4098
    told = what_changed(order, codes.parse(codes.encode(codes.Kind.ORDER_PAPER, order.pk, 4097)).revision)
    assert "Pieces per sheet: 2; the paper says 1." in told


def test_what_changed_takes_one_query_whatever_changed(shop):
    order = shop.draft()
    for number in range(12):
        order = revised(shop, order, lines=[*order.lines.all(), *shop.lines(("poster", 100 + number))])
    for since in (12, 1):
        with count_queries() as statements:
            assert what_changed(order, since)
        assert len(statements) == 1


def test_a_scan_of_the_old_paper_hears_what_changed(shop, draft_order, planner):
    order = revised(shop, draft_order, ups=2, due_date=draft_order.due_date + timedelta(days=1))
    by = again(planner)
    code = codes.encode(codes.Kind.TASK_PAPER, order.tasks.order_by("pk")[0].pk, 1)
    with count_queries(5):
        warning = next(one for one in resolve(code, by=by).warnings if one.code == "old_ticket")
    assert f"Due date: {order.due_date}; the paper says {order.due_date - timedelta(days=1)}." in warning.detail
    assert "Pieces per sheet: 2; the paper says 1." in warning.detail
