import contextlib
import datetime as dt

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from apps.core import reading
from apps.core.errors import InvalidInput
from apps.core.export import safe
from apps.core.units import Unit

MOST = 100_000_000
NEAR = dt.date(2026, 11, 21)
FULL_WIDTH = str.maketrans("0123456789,.", "０１２３４５６７８９，．")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (500, 500),
        (500.0, 500),
        ("500", 500),
        (" 1，500 ", 1500),
        ("1,500", 1500),
        ("１，５００", 1500),
        ("２０００", 2000),
        ("1 500", 1500),
        ("1'500", 1500),
        ("1.500.000", 1_500_000),
        ("1.500,00", 1500),
        ("1,500.00", 1500),
        ("1.5万", 15_000),
        ("2 万", 20_000),
        ("3千", 3000),
        ("0.5亿", 50_000_000),
        ("500.0", 500),
        (MOST, MOST),
    ],
)
def test_quantities_are_read_as_offices_write_them(written, value):
    assert reading.read_quantity(written, MOST) == value


@pytest.mark.parametrize(
    "written",
    [-200, "-200", 0, "0", "０", 0.5, "1.5", "1,50", "12,34", "1.500", "abc", "三百", "1e5", "0x10", "", "  ", None, True, float("nan"),
     float("inf"),      MOST + 1, 10**12, "99999999999", "1.5亿", "-1.5万", "9" * 500, [], dt.date(2026, 1, 1)],
)  # fmt: skip
def test_what_is_no_whole_number_in_range_is_refused_in_a_sentence(written):
    with pytest.raises(InvalidInput) as refusal:
        reading.read_quantity(written, MOST)
    assert str(refusal.value).endswith(".")
    assert len(str(refusal.value)) < 200


@given(st.integers(1, MOST), st.sampled_from(["{}", "{:,}", " {} ", "{}.0", "{:,}.00"]), st.booleans())
def test_every_way_to_write_a_number_reads_as_that_number(number, form, wide):
    written = form.format(number)
    assert reading.read_quantity(written.translate(FULL_WIDTH) if wide else written, MOST) == number


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none(), st.datetimes()))
def test_any_cell_is_read_or_refused_and_never_breaks(cell):
    readers = [
        lambda value: reading.read_quantity(value, MOST),
        lambda value: reading.read_date(value, NEAR),
        reading.read_unit,
        reading.read_colours,
        reading.read_codes,
        lambda value: reading.read_text(value, 40),
        lambda value: reading.read_choice(value, {"low": 1, "high": 2}, "priority"),
    ]
    for read in readers:
        with contextlib.suppress(InvalidInput):
            read(cell)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        (dt.datetime(2026, 12, 30), dt.date(2026, 12, 30)),
        (dt.date(2026, 12, 30), dt.date(2026, 12, 30)),
        ("2026/12/5", dt.date(2026, 12, 5)),
        ("2026-12-30", dt.date(2026, 12, 30)),
        ("2026.12.30", dt.date(2026, 12, 30)),
        ("２０２６／１２／５", dt.date(2026, 12, 5)),
        ("2026-12-30 00:00:00", dt.date(2026, 12, 30)),
        ("2026年12月30日", dt.date(2026, 12, 30)),
        ("20261230", dt.date(2026, 12, 30)),
        ("31.12.2026", dt.date(2026, 12, 31)),
        ("31/12/2026", dt.date(2026, 12, 31)),
        ("12/31/2026", dt.date(2026, 12, 31)),
        ("12月18日", dt.date(2026, 12, 18)),
        ("12 月 18 日", dt.date(2026, 12, 18)),
        ("11月21日", dt.date(2026, 11, 21)),
        ("1月5号", dt.date(2027, 1, 5)),
        ("2月29日", dt.date(2028, 2, 29)),
        (46355, dt.date(2026, 11, 29)),
        (46355.75, dt.date(2026, 11, 29)),
        ("46355", dt.date(2026, 11, 29)),
    ],
)
def test_days_are_read_as_offices_write_them(written, day):
    assert reading.read_date(written, NEAR) == day


@pytest.mark.parametrize(
    "written",
    ["2026-02-30", "2026/13/1", "31.11.2026", "13月1日", "2月30日", "05/06/2026", "1999-12-31", "2100-01-01", "soon", "", None, True, 1,
     0, -5,      10**9, float("nan"), "26.12.30", "12-18"],
)  # fmt: skip
def test_what_is_no_day_or_could_be_two_is_refused(written):
    with pytest.raises(InvalidInput, match=r"\.$"):
        reading.read_date(written, NEAR)


@given(
    st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)), st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%Y%m%d", "%Y年%m月%d日"])
)
def test_every_way_to_write_a_day_reads_as_that_day(day, form):
    assert reading.read_date(day.strftime(form), NEAR) == day


@given(st.dates(dt.date(2020, 1, 1), dt.date(2080, 12, 31)), st.dates(dt.date(2020, 1, 1), dt.date(2080, 12, 31)))
def test_a_day_without_its_year_is_the_next_such_day(day, near):
    found = reading.read_date(f"{day.month}月{day.day}日", near)
    assert (found.month, found.day) == (day.month, day.day)
    assert 0 <= (found - near).days < 366 * 9


@pytest.mark.parametrize(
    ("written", "unit"), [("本", Unit.BOOK), ("PCS", Unit.PIECE), ("个", Unit.PIECE), ("Sheets", Unit.SHEET), (" 盒 ", Unit.BOX)]
)
def test_units_are_read_by_code_label_and_office_word(written, unit):
    assert reading.read_unit(written) is unit


@pytest.mark.parametrize(("written", "unit"), [("Sheets", Unit.SHEET), ("press runs", Unit.RUN), ("张", Unit.SHEET), ("版", Unit.PLATE)])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_units_in_english_and_chinese_are_read_whatever_the_reader_speaks(language, written, unit):
    with translation.override(language):
        assert reading.read_unit(written) is unit


def test_an_unknown_word_is_told_with_the_nearest_and_what_is_expected():
    words = {"普通": 1, "高": 2, "紧急": 3}
    with pytest.raises(InvalidInput, match=r"特急 is no known priority: did you mean 紧急\? Expected: 普通, 高, 紧急\."):
        reading.read_choice("特急", words, "priority")
    with pytest.raises(InvalidInput, match=r"^xyz is no known priority\. Expected: 普通, 高, 紧急\.$"):
        reading.read_choice("xyz", words, "priority")


def test_an_unknown_code_is_told_with_the_nearest_one():
    error = reading.unknown("CARTONN", "product code", ["CARDS", "CARTON", "BOARD"])
    assert str(error) == "CARTONN is no known product code: did you mean CARTON?"
    assert str(reading.unknown("完全不同", "customer", ["CARDS"])) == "完全不同 is no known customer."


@pytest.mark.parametrize(
    ("written", "colours"),
    [
        ("CMYK+528C", ("CMYK", "528C")),
        ("CK", ("CK", "")),
        ("cmyk", ("CMYK", "")),
        ("CMYK+金色", ("CMYK", "金色")),
        ("CMYK＋金色＋银色", ("CMYK", "金色, 银色")),
        ("CMK+528C (4)", ("CMK", "528C")),
        ("528C", ("", "528C")),
    ],
)
def test_colours_are_split_into_process_and_spot(written, colours):
    assert reading.read_colours(written) == colours


@pytest.mark.parametrize("written", ["4+0", "4+4", "MC", "CMYKK", "CMYK+CMYK"])
def test_what_is_no_set_of_colours_is_refused(written):
    with pytest.raises(InvalidInput, match="is no set of colours"):
        reading.read_colours(written)


@pytest.mark.parametrize(
    "written", ["CTP > CUT > PRT", "CTP＞CUT＞PRT", "ctp -> cut -> prt", "CTP→CUT→PRT", "CTP, CUT, PRT", "CTP、CUT、PRT"]
)
def test_routes_are_read_with_any_arrow(written):
    assert reading.read_codes(written) == ["CTP", "CUT", "PRT"]


@pytest.mark.parametrize("written", ["", ">", "CTP > > PRT", "> CTP"])
def test_a_route_with_a_gap_is_refused(written):
    with pytest.raises(InvalidInput, match="is no route"):
        reading.read_codes(written)


def test_text_keeps_what_looks_like_a_formula_and_loses_what_cannot_be_kept():
    assert reading.read_text(" @SUM(1+1) ") == "@SUM(1+1)"
    assert reading.read_text(12.0) == "12"
    with pytest.raises(InvalidInput, match="cannot be kept"):
        reading.read_text("a\0b")
    with pytest.raises(InvalidInput, match="10000 characters; at most 60 fit"):
        reading.read_text("x" * 10_000, 60)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])).map(str.strip) | st.text("=+-@'＝＋－＠a").map(str.strip))
def test_text_that_is_exported_comes_back_as_it_was(text):
    assert reading.read_text(safe(text)) == text
