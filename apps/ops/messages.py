"""Collects the texts of the code and the templates into the catalogues, and compiles them. Needs no settings and no tools."""

import ast
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

BASE = Path(__file__).resolve().parents[2]
LOCALES = ("zh_Hans",)
SOURCES = ("apps", "project", "templates")
# Which of a call's arguments are the context, the text and its plural.
CALLS = {
    "_": ("id",),
    "gettext": ("id",),
    "gettext_lazy": ("id",),
    "gettext_noop": ("id",),
    "ngettext": ("id", "plural"),
    "ngettext_lazy": ("id", "plural"),
    "pgettext": ("context", "id"),
    "pgettext_lazy": ("context", "id"),
    "npgettext": ("context", "id", "plural"),
    "npgettext_lazy": ("context", "id", "plural"),
}
_LITERAL = r"""[uU]?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
_TEMPLATE_CALL = re.compile(rf"\b(n?p?gettext|_)\(\s*({_LITERAL}(?:\s*,\s*{_LITERAL})*)\s*(?:,\s*count\s*)?\)", re.DOTALL)
_PLACEHOLDER = re.compile(r"%\((\w+)\)")
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)  # the catalogues carry no dates that would change with each run


@dataclass(frozen=True, order=True)
class Text:
    """One text to translate."""

    id: str
    context: str | None = None
    plural: str | None = None


def texts_of_python(source: str) -> Iterator[Text]:
    """Every text in calls of gettext and its kin. A call without a literal text has nothing to collect."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            words = [argument.value for argument in node.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)]
            if name in CALLS and len(words) >= len(CALLS[name]):
                yield Text(**dict(zip(CALLS[name], words, strict=False)))


def texts_of_template(source: str) -> Iterator[Text]:
    """Every text in translate and blocktranslate tags, and in _("...") of other tags."""
    for name, words in _TEMPLATE_CALL.findall(templatize(source)):
        yield Text(**dict(zip(CALLS[name], ast.literal_eval(f"({words},)"), strict=False)))


def texts(base: Path = BASE) -> set[Text]:
    """Every text of the project."""
    found: set[Text] = set()
    for folder in SOURCES:
        for path in sorted((base / folder).rglob("*")):
            if path.suffix == ".py" and "migrations" not in path.parts:
                found.update(texts_of_python(path.read_text(encoding="utf-8")))
            elif path.suffix in (".html", ".txt") and "templates" in path.parts:
                found.update(texts_of_template(path.read_text(encoding="utf-8")))
    return {text for text in found if text.id}


@dataclass(frozen=True)
class Catalogue:
    """The translations into one language: `locale` is a name of LOCALES."""

    locale: str
    folder: Path

    @classmethod
    def all(cls, base: Path = BASE) -> "list[Catalogue]":
        return [cls(locale, base / "project" / "locale" / locale / "LC_MESSAGES") for locale in LOCALES]

    @property
    def source(self) -> Path:
        return self.folder / "django.po"

    @property
    def compiled(self) -> Path:
        return self.folder / "django.mo"

    def read(self) -> Catalog:
        """The catalogue as it is on the disk; an empty one where there is none."""
        if not self.source.exists():
            return Catalog(locale=self.locale)
        with self.source.open("rb") as file:
            return read_po(file, locale=self.locale)

    def updated(self, wanted: Iterable[Text]) -> Catalog:
        """The catalogue with just the `wanted` texts, each with the translation that it has. Never fuzzy: a guess is no translation."""
        old = self.read()
        new = Catalog(
            locale=self.locale,
            project="Docket",
            version="1",
            header_comment=f"# Docket: {self.locale}. Written by: python manage.py messages",
            last_translator="Docket",
            language_team="Docket",
            copyright_holder="Docket",
            msgid_bugs_address="docket@localhost",
            creation_date=_LONG_AGO,
            revision_date=_LONG_AGO,
            fuzzy=False,
        )
        for text in sorted(wanted, key=lambda text: (text.id, text.context or "", text.plural or "")):
            known = old.get(text.id, text.context)
            string = known.string if known and "fuzzy" not in known.flags else ""
            if text.plural:
                words = [string] if isinstance(string, str) else list(string)
                new.add((text.id, text.plural), (words + [""] * new.num_plurals)[: new.num_plurals], context=text.context)
            else:
                new.add(text.id, string if isinstance(string, str) else string[0], context=text.context)
        return new

    def write(self, catalog: Catalog) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.source.open("wb") as file:
            write_po(file, catalog, no_location=True, sort_output=True, ignore_obsolete=True, width=120)

    def compile(self) -> None:
        """Write the .mo file in one move: other processes may read it now."""
        if not self.source.exists():
            return
        catalog = self.read()
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
            write_mo(file, catalog)
        os.chmod(file.name, 0o644)
        os.replace(file.name, self.compiled)

    def is_stale(self) -> bool:
        """Was the source changed since it was compiled?"""
        if not self.source.exists():
            return False
        return not self.compiled.exists() or self.compiled.stat().st_mtime < self.source.stat().st_mtime

    def problems(self, wanted: set[Text]) -> list[str]:
        """What is missing, fuzzy, wrong in its placeholders, or no longer in the code; one line each."""
        catalog = self.read()
        ids = {(text.id, text.context or None) for text in wanted}
        found = [f"obsolete: {_shown(message)}" for message in catalog if message.id and (_first(message), message.context) not in ids]
        for text in sorted(wanted, key=lambda text: (text.id, text.context or "")):
            message = catalog.get(text.id, text.context)
            if message is None or not all([message.string] if isinstance(message.string, str) else message.string):
                found.append(f"missing: {text.id!r}")
            elif message.fuzzy:
                found.append(f"fuzzy: {text.id!r}")
            else:
                found += [f"wrong placeholders: {text.id!r}"] if _placeholders_differ(text, message) else []
        return found


def _first(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _shown(message: Message) -> str:
    return repr(_first(message))


def _placeholders_differ(text: Text, message: Message) -> bool:
    """Did the translation lose a placeholder, or invent one? Of a text with a plural, the plural counts."""
    strings = [message.string] if isinstance(message.string, str) else message.string
    wanted = set(_PLACEHOLDER.findall(text.plural or text.id))
    return any(set(_PLACEHOLDER.findall(string)) != wanted for string in strings)


def compile_stale(base: Path = BASE) -> list[str]:
    """Compile what needs it; says which locales."""
    stale = [catalogue for catalogue in Catalogue.all(base) if catalogue.is_stale()]
    for catalogue in stale:
        catalogue.compile()
    return [catalogue.locale for catalogue in stale]
