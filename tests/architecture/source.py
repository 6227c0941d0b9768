"""The project's own source, parsed once."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("core", "accounts", "notices", "imports", "catalog", "dispatch", "workorders", "scanning", "dashboard", "ops")
SURFACES = {"admin", "api", "jobs", "resources", "management"}


@dataclass(frozen=True)
class Source:
    """One module. `parts` is its dotted name in pieces: ("apps", "catalog", "models")."""

    path: Path
    parts: tuple[str, ...]
    tree: ast.Module
    text: str

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def app(self) -> str:
        return self.parts[1] if self.parts[0] == "apps" and len(self.parts) > 1 else ""

    @property
    def surface(self) -> str:
        """The surface that the module belongs to, or ""."""
        return self.parts[2] if len(self.parts) > 2 and self.parts[2] in SURFACES else ""

    def imports(self) -> Iterator[tuple[int, str]]:
        """(line, dotted name) of everything imported, at the top or inside a function; names of `from` imports included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    package = self.parts if self.path.name == "__init__.py" else self.parts[:-1]
                    above = package[: len(package) - node.level + 1]
                    base = ".".join([*above, *([base] if base else [])])
                for alias in node.names:
                    yield node.lineno, f"{base}.{alias.name}"


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Every module below `folders`, migrations left out."""
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            relative = path.relative_to(ROOT).with_suffix("")
            parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
            text = path.read_text(encoding="utf-8")
            found.append(Source(path, parts, ast.parse(text, filename=str(path)), text))
    return tuple(found)
