"""The page for makers of other handhelds: its examples are run as they stand, its answers are compared, its codes are made again."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from apps.scanning.codes import ALPHABET, COMMANDS, REASONS, SECOND, Kind, decode, encode
from apps.scanning.services.devices import issue_badge, register_device
from tests.ops.workers import eventually
from tests.shop import Shop, make_shop

PAGE = (settings.BASE_DIR / "project" / "docs" / "handhelds.md").read_text(encoding="utf-8")
GIVEN = re.compile(r"^(\w+)=\S*…\S*.*$|^(DOCKET|BADGE|TASK|OTHER)=.*$", re.MULTILINE)
FENCES = re.compile(r"^```(sh|http)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def is_like(wanted: Any, got: Any) -> bool:
    """Whether an answer is what the page says. `…` stands for anything; a member of that name for all members that are not shown."""
    if wanted == "…":
        return True
    if isinstance(wanted, str) and "…" in wanted:
        return isinstance(got, str) and re.fullmatch(re.escape(wanted).replace("…", ".*"), got, re.DOTALL) is not None
    if isinstance(wanted, dict) and isinstance(got, dict):
        shown = {name for name in wanted if name != "…"}
        return shown <= set(got) and ("…" in wanted or shown == set(got)) and all(is_like(wanted[name], got[name]) for name in shown)
    if isinstance(wanted, list) and isinstance(got, list):
        if wanted == ["…"]:
            return True
        return len(wanted) == len(got) and all(map(is_like, wanted, got))
    return wanted == got


def examples() -> list[tuple[str, list[str]]]:
    """(commands, the answers that follow them) in the page's order."""
    found: list[tuple[str, list[str]]] = []
    for language, text in FENCES.findall(PAGE):
        if language == "sh":
            found.append((text, []))
        else:
            found[-1][1].append(text)
    return found


class Shell:
    """One bash for the whole page: what an example sets, the next one has."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def run(self, text: str) -> str:
        self.process.stdin.write(f"{text}\necho; echo ==over==\n")
        self.process.stdin.flush()
        lines = iter(self.process.stdout.readline, "==over==\n")
        return "".join(lines)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


@pytest.fixture
def shell() -> Iterator[Shell]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    one = Shell()
    yield one
    one.end()


@pytest.fixture
def shop(transactional_db: None) -> Shop:
    return make_shop()


def answers_of(said: str) -> list[tuple[int, Any]]:
    """(status, body) of each answer that curl printed with its headers."""
    found = []
    for part in re.split(r"(?=HTTP/1\.1 \d{3} )", said.replace("\r\n", "\n"))[1:]:
        head, _blank, body = part.partition("\n\n")
        found.append((int(head.split()[1]), json.loads(body) if body.strip() else None))
    return found


@pytest.mark.slow
def test_the_examples_of_the_page_answer_as_it_says(shop, live_server, shell):
    first, second = (shop.ready_to_print(shop.approved()) for _order in range(2))
    _device, token = register_device("Press room 1", shop.departments["printing"], by=shop.people["administrator"])
    badge, pin = issue_badge(shop.people["operator"], by=shop.people["administrator"])
    values = {
        "DOCKET": live_server.url,
        "DEVICE": token,
        "BADGE": encode(Kind.BADGE, badge.pk),
        "PIN": pin,
        "TASK": encode(Kind.TASK, first.pk),
        "OTHER": encode(Kind.TASK, second.pk),
    }
    for commands, wanted in examples():
        given = GIVEN.sub(lambda line: f"{(name := line[1] or line[2])}={values[name]}", commands)
        answers, wrong = ask(shell, given, wanted)
        if wrong and "--json" not in commands and "-X" not in commands:
            # Reading once more does no harm: on a busy PostgreSQL a change is told when what began before it has ended.
            eventually(lambda given=given, wanted=wanted: not ask(shell, given, wanted)[1])
        else:
            assert wrong == "", commands
        for _status, told in answers:
            for name, member in (("SESSION", "token"), ("CURSOR", "cursor")):
                values[name] = (told or {}).get(member, values.get(name))


def ask(shell: Shell, commands: str, wanted: list[str]) -> tuple[list[tuple[int, Any]], str]:
    """The answers to an example, and what about them is not as the page says; "" where all of it is."""
    answers = answers_of(shell.run(commands))
    if not len(answers) == len(wanted) == commands.count("curl "):
        return answers, f"{len(answers)} answers, {len(wanted)} on the page, to {commands.count('curl ')} commands"
    for (status, body), text in zip(answers, wanted, strict=True):
        line, _newline, shown = text.partition("\n")
        if status != int(line) or not is_like(json.loads(shown) if shown.strip() else None, body):
            return answers, f"{status} {body} is not {text}"
    return answers, ""


def test_the_comparison_of_answers_sees_a_difference():
    assert is_like({"a": "x…", "…": "…"}, {"a": "xyz", "b": 1})
    assert not is_like({"a": "x…"}, {"a": "xyz", "b": 1})
    assert not is_like({"a": "x…"}, {"a": "yz"})
    assert not is_like([1, 2], [1])
    assert not is_like({"a": 1}, {"a": 2})


def test_the_codes_of_the_page_are_what_they_say():
    rows = re.findall(r"^\| `([WTECRDJK])` \| [^|]+ \| `(\w+)` \| ([^|]+) \|$", PAGE, re.MULTILINE)
    said = {"order": Kind.ORDER, "task": Kind.TASK, "badge": Kind.BADGE}
    assert [letter for letter, _code, _says in rows] == [*Kind, SECOND]
    for letter, code, says in rows:
        read = decode(code)
        words = says.replace(",", "").split()
        if letter == Kind.COMMAND:
            assert COMMANDS[read.number] == says.strip()
        elif letter == Kind.REASON:
            assert REASONS[read.number] == says.strip()
        else:
            assert (read.kind, read.number) == (said[words[0]], int(words[1]))
            assert read.revision == (int(words[3]) if len(words) > 2 else None)
    listed = dict(re.findall(r"\| `([CR]\w+)` \| (\w+) ", PAGE))
    wanted = {encode(Kind.COMMAND, number): name for number, name in COMMANDS.items()}
    wanted |= {encode(Kind.REASON, number): name for number, name in REASONS.items()}
    assert {code: name for code, name in listed.items() if code != "R39" or name == "print"} == wanted


def test_the_check_character_is_made_as_the_page_says():
    """The page's own words, once more: double, XOR, and double at the end."""

    def double(value: int) -> int:
        return value * 2 ^ 37 if value * 2 >= 32 else value * 2

    assert f"`{ALPHABET}`" in PAGE
    for number in (1, 87, 2026, 10**9):
        total = 0
        for character in encode(Kind.TASK, number)[:-1]:
            total = double(total) ^ ALPHABET.index(character)
        assert ALPHABET[double(total)] == encode(Kind.TASK, number)[-1]
    assert "| | | 40 XOR 37 = 13 | `D` |" in PAGE
