"""The page of threats names tests that exist, and leaves no surface without one or without a reason."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "project" / "docs" / "threats.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| T")
]


@cache
def names_of(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_threat_has_a_row_with_a_control():
    assert [row[0] for row in ROWS] == [f"T{number}" for number in range(1, 46)]
    assert all(len(row) == 4 and all(row) for row in ROWS)


def test_every_test_that_a_row_names_exists():
    missing, named = [], 0
    for number, _where, _holds, tests in ROWS:
        found = re.findall(r"`([\w/]+\.py)::(test_\w+)`", tests)
        named += len(found)
        if not found and not tests.startswith("no test, since "):
            missing.append(f"{number} has neither test nor reason")
        missing += [f"{number} {file}::{name}" for file, name in found if not (TESTS / file).exists() or name not in names_of(file)]
    assert missing == []
    assert named > 80
