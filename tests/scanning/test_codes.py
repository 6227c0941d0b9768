"""Codes on paper: what is read wrongly is noticed, what is read in another way is understood or told."""

import string
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.scanning import codes
from apps.scanning.codes import ALPHABET, COMMANDS, LARGEST, REASONS, BadCode, Code, Kind, address, decode, encode, layout_of, parse
from apps.workorders.models import ReasonCode

PLAIN = [kind for kind in Kind if kind not in codes.PAPERS]
HOSTS = ("docket.example.com", "10.0.0.5", "[::1]", ".shop.example")
# What a reader takes for the same character.
SAME = {"O": "0", "I": "1", "L": "1"}

numbers = st.integers(0, LARGEST)
kinds = st.sampled_from(PLAIN)
# Rows whose task's code would be T and nothing but digits, if there were no K.
seconds = (
    st.from_regex(r"[1-9][0-9]{0,11}", fullmatch=True)
    .map(lambda digits: int(digits, 32))
    .filter(lambda number: encode(Kind.TASK, number)[0] == "K")
)
written = st.one_of(
    st.builds(encode, kinds, numbers),
    st.builds(encode, st.just(Kind.TASK), seconds),
    st.builds(encode, st.sampled_from(list(codes.PAPERS)), st.integers(0, 2**50), st.integers(0, 4095)),
)


def refused(text, code, **options):
    with pytest.raises(BadCode) as refusal:
        parse(text, **options)
    assert refusal.value.code == code
    assert str(refusal.value).endswith(".")
    return refusal.value


@given(kinds, numbers)
def test_what_is_written_is_read(kind, number):
    assert decode(encode(kind, number)) == Code(kind, number)


@given(seconds)
def test_a_task_whose_code_would_read_as_a_number_has_another_letter(number):
    code = encode(Kind.TASK, number)
    assert decode(code) == Code(Kind.TASK, number)
    for letter in ALPHABET:
        if letter != "K":
            with pytest.raises(BadCode):
                decode(letter + code[1:])


@given(st.from_regex(r"[Tt][0-9OILoil]{1,19}", fullmatch=True))
def test_the_number_of_a_task_is_never_a_code(text):
    told = refused(text, "a_number")
    assert "the small code under the bars" in str(told)
    if len(text) > 2:
        refused(f"https://docket.example.com/s/{text}", "a_number", hosts=HOSTS)


def test_no_task_has_a_code_that_is_another_ones_number():
    written = [encode(Kind.TASK, number) for number in range(1, 40_000)]
    assert all(code[0] == "K" or not code[1:].isdecimal() for code in written)
    assert {code[0] for code in written} == {"T", "K"}
    assert len(set(written)) == len(written)
    for number in range(1, 40_000):
        refused(f"T{number}", "a_number")


def test_the_second_letter_stands_only_where_the_first_one_would_be_a_number():
    """Task 85 is T2N9: its code has a letter anyway."""
    refused(codes._checked("K2N"), "bad_code")


@given(st.sampled_from(list(codes.PAPERS)), st.integers(0, 2**50), st.integers(0, 10_000))
def test_paper_tells_its_revision(kind, number, revision):
    assert decode(encode(kind, number, revision)) == Code(codes.PAPERS[kind], number, revision % 4096)


def test_paper_without_a_revision_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="revision"):
        encode(Kind.ORDER_PAPER, 7)


@given(st.sampled_from(PLAIN), st.integers(0, 10**6), st.integers(0, 10**6))
def test_two_rows_have_two_codes(kind, one, other):
    assume(one != other)
    assert encode(kind, one) != encode(kind, other)


@given(written)
def test_a_code_is_capitals_and_digits_that_every_layout_of_scan_codes_has(code):
    assert set(code) <= set(ALPHABET)
    assert len(code) <= codes.LONGEST


@given(written, st.data())
def test_every_single_wrong_character_is_noticed(code, data):
    place = data.draw(st.integers(0, len(code) - 1))
    wrong = data.draw(st.sampled_from(string.ascii_uppercase + string.digits))
    assume(SAME.get(wrong, wrong) != code[place])
    with pytest.raises(BadCode):
        decode(code[:place] + wrong + code[place + 1 :])


@given(written, st.data())
def test_every_wrong_character_of_any_script_is_noticed(code, data):
    place = data.draw(st.integers(0, len(code) - 1))
    wrong = data.draw(st.characters())
    # A blank at an end is no wrong character but a lost one, which one check character cannot always notice.
    assume(unicodedata.normalize("NFKC", wrong).strip())
    read = code[:place] + wrong + code[place + 1 :]
    try:
        found = decode(read)
    except BadCode:
        return
    assert found == decode(code)


@given(written, st.data())
def test_every_swap_of_neighbours_is_noticed(code, data):
    place = data.draw(st.integers(0, len(code) - 2))
    assume(code[place] != code[place + 1])
    with pytest.raises(BadCode):
        decode(code[:place] + code[place + 1] + code[place] + code[place + 2 :])


@given(written)
def test_a_code_is_read_in_small_letters_and_in_full_width(code):
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in code)
    assert decode(code.lower()) == decode(wide) == decode(f"  {code}\r\n") == decode(code)


def test_several_letters_in_one_are_no_code():
    """Unicode has a KG and an FI as one character: read as two, a wrong character would be a longer code."""
    code = next(code for number in range(1000) if (code := encode(Kind.TASK, number))[-3:-1] == "KG")
    for read in (decode, parse):
        with pytest.raises(BadCode):
            read(code.replace("KG", "\N{SQUARE KG}"))


@given(written)
def test_what_looks_alike_is_the_same(code):
    assert decode(code.replace("0", "O").replace("1", "I")) == decode(code.replace("1", "l")) == decode(code)


@given(st.text(max_size=40))
def test_any_text_is_a_code_or_told_to_be_none(text):
    try:
        found = parse(text, hosts=HOSTS)
    except BadCode as refusal:
        assert refusal.code in {"bad_code", "a_number", "wrong_check", "wrong_layout", "foreign_host"}  # noqa: PT017
        assert isinstance(refusal, InvalidInput)  # noqa: PT017
    else:
        assert 0 <= found.number <= LARGEST


@pytest.mark.parametrize(
    "text",
    ["", "T", "TA", "K2", "X23", "T2-7", "T 27", "2T7", "T" * 21, "TU7", "T2\x007", "ß23", "ｔ", "жжж", "W" * 5000, "123456789012"],
)
def test_what_is_no_code_is_told_so(text):
    refused(text, "bad_code")


def test_a_wrong_check_character_asks_to_scan_again():
    code = encode(Kind.TASK, 85)
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    assert wrong in str(refused(wrong, "wrong_check"))


def test_a_number_that_no_row_can_have_is_no_code():
    assert decode(encode(Kind.TASK, LARGEST)).number == LARGEST
    refused(encode(Kind.TASK, LARGEST + 1), "bad_code")
    refused(encode(Kind.TASK, 32**18 - 1), "bad_code")


def test_a_number_is_written_in_one_way():
    body = "T0" + "2N"
    padded = body + next(letter for letter in ALPHABET if codes._times_two(codes._checksum(body)) == codes.VALUES[letter])
    refused(padded, "bad_code")


@given(written, st.sampled_from(["https://docket.example.com", "http://10.0.0.5:8000", "https://[::1]:8443", "https://a.shop.example"]))
def test_the_address_form_of_this_site_is_read(code, host):
    assert parse(address(code, host), hosts=HOSTS) == parse(address(code, host) + "/", hosts=HOSTS) == decode(code)


def test_an_address_is_read_in_capitals_as_alphanumeric_qr_codes_write_it():
    code = encode(Kind.TASK, 85)
    assert parse(f"HTTPS://DOCKET.EXAMPLE.COM/S/{code}", hosts=HOSTS) == parse(f"https://docket.example.com/s/{code.lower()}", hosts=HOSTS)


@pytest.mark.parametrize(
    "host",
    [
        "https://other.example.com", "https://docket.example.com.evil.test", "https://evil.test#docket.example.com", "https://xshop.example",
        "https://docket.example.com@evil.test", "http://", "https://evil.test?docket.example.com", "//evil.test", "www.evil.test",
    ],
)  # fmt: skip
def test_a_code_of_another_host_is_refused(host):
    code = encode(Kind.TASK, 85)
    text = address(code, host if "://" in host or host.startswith("www.") else f"ftp:{host}")
    refused(text, "foreign_host", hosts=HOSTS)
    refused(address(code, "https://docket.example.com"), "foreign_host")


@pytest.mark.parametrize(
    "path", ["", "/", "/s/", "/s/T2", "/s/T2N7/more", "/admin/", "/s/T2N7?x=1/../", "/x/T2N7", "/s/T%32N7", "/s//T2N7", "/s/é23"]
)
def test_another_page_of_this_site_is_no_code(path):
    with pytest.raises(BadCode):
        parse(f"https://docket.example.com{path}", hosts=HOSTS)


def test_a_broken_address_is_told_like_any_other_text():
    refused("http://[::1/s/T2N7", "bad_code", hosts=HOSTS)


# What each layout types for T, a digit 2 and so on is looked up by hand here, not by the table under test.
@pytest.mark.parametrize(
    ("layout", "number", "typed"),
    [
        ("French (AZERTY)", 85, {"T": "T", "2": "é", "N": "N", "M": "?", "A": "Q", "Q": "A", "W": "Z", "Z": "W"}),
        ("German (QWERTZ)", 34 * 32 + 30, {"Y": "Z", "Z": "Y"}),
    ],
)
def test_a_swapped_layout_is_named_with_the_code_that_was_meant(layout, number, typed):
    code = encode(Kind.TASK, number)
    digits = dict(zip("0123456789", "à&é\"'(-è_ç", strict=True)) if "AZERTY" in layout else {}
    scanned = "".join((digits | typed).get(letter, letter) for letter in code)
    assert scanned != code
    refusal = refused(scanned, "wrong_layout")
    assert refusal.extra["layout"] == layout
    assert layout in str(refusal)
    assert code in str(refusal)


@given(written, st.sampled_from(sorted(codes._LAYOUTS)))
def test_every_layout_that_is_known_is_told_from_a_code(code, layout):
    rows, letters = codes._LAYOUTS[layout]
    keys = dict(zip(string.digits, rows[0], strict=True)) | dict(zip(string.ascii_uppercase, letters[0], strict=True))
    typed = "".join(keys[letter] for letter in code)
    assume(typed != code)
    found = layout_of(typed)
    assert found is not None
    with pytest.raises(BadCode) as refusal:
        parse(typed)
    assert refusal.value.code == "wrong_layout"


def test_caps_lock_on_an_english_keyboard_is_told_as_a_layout():
    code = encode(Kind.TASK, 85)
    typed = code.lower().translate(str.maketrans("0123456789", ")!@#$%^&*("))
    assert refused(typed, "wrong_layout").extra["layout"].startswith("English (US)")


def test_a_plain_code_is_not_told_to_be_of_another_layout():
    assert layout_of(encode(Kind.TASK, 85)) is None
    assert layout_of("") is None


def test_commands_and_reasons_keep_the_numbers_that_are_printed():
    assert COMMANDS == {1: "start", 2: "pause", 3: "complete", 4: "undo", 5: "claim", 6: "resume", 7: "release", 8: "report"}
    assert [REASONS[number] for number in range(1, 12)] == [
        "setup", "material", "print", "register", "colour", "cut", "glue", "machine", "waiting", "break", "other",
    ]  # fmt: skip
    assert set(REASONS.values()) == set(ReasonCode.values)


def test_printed_codes_never_change():
    """The paper is out there."""
    assert [encode(kind, 85) for kind in PLAIN] == ["W2NW", "T2N9", "E2NR", "C2N8", "R2NS"]
    assert [encode(Kind.TASK, number) for number in (1, 598, 169)] == ["K14", "TJP5", "K59A"]
    assert [encode(kind, 85, 3) for kind in codes.PAPERS] == ["DAM03T", "JAM03P"]
