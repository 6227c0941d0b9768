"""The page of environment variables names what the code reads, all of it and nothing else."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "project" / "docs" / "environment.md"


def names_read() -> set[str]:
    """The first argument of every call of a reader of project.env, wherever it stands."""
    names = set()
    for path in [*ROOT.glob("project/*.py"), *ROOT.glob("apps/**/*.py"), *ROOT.glob("deploy/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = node.args[0].value
            if isinstance(name, str) and re.fullmatch(r"[A-Z][A-Z_]+", name) and reader(node.func, inside=path.name == "env.py"):
                names.add(name)
    return names


def reader(function: ast.expr, *, inside: bool) -> bool:
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "env":
        return True
    return inside and isinstance(function, ast.Name)


def names_told() -> set[str]:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z][A-Z_]+)`", row.split("|")[1])}


def test_the_page_names_every_variable_and_no_other():
    assert names_told() == names_read()
