"""What an attack on the doors needs: the form of a page as a browser would send it, every address, and a sum over the database."""

import hashlib
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

from django.apps import apps
from django.db.models import Model

from apps.accounts.models import AccessToken, OpenSession
from apps.core.models import Bucket

# Signing in, throttling and looking leave traces that no row of the shop depends on.
TRACES = (OpenSession, AccessToken, Bucket)


def checksum(*, but: Iterable[type[Model]] = ()) -> str:
    """One sum over every row of every table."""
    skipped = {*TRACES, *but}
    total = hashlib.sha256()
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and model not in skipped:
            total.update(model._meta.label.encode())
            for row in sorted(map(repr, model._base_manager.values_list())):
                total.update(row.encode())
    return total.hexdigest()


class Page(HTMLParser):
    """Reads a page: the fields of its first form that is posted, and every attribute and script."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[dict[str, Any]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._open: dict[str, Any] | None = None
        self._select = self._textarea = self._script = ""
        self._first: str | None = None
        self.feed(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def fields(self) -> dict[str, Any]:
        """What the largest form of the page sends, but for buttons and the rows that a script would add."""
        found = max(self.forms, key=len, default={})
        return {name: value for name, value in found.items() if "__prefix__" not in name and name != "csrfmiddlewaretoken"}

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in given}
        self.attributes += [(tag, name, value) for name, value in has.items()]
        name = has.get("name", "")
        if tag == "form":
            self._open = {}
            if has.get("method", "get").lower() == "post" and "setlang" not in has.get("action", ""):
                self.forms.append(self._open)
        elif tag == "script":
            self._script = has.get("type") or "text/javascript"
        elif self._open is None or not name:
            if tag == "option":
                self._option(has)
        elif tag == "input" and has.get("type") in ("checkbox", "radio"):
            if "checked" in has:
                self._put(name, has.get("value", "on"))
        elif tag == "input" and has.get("type") not in ("submit", "button", "file", "image"):
            self._open[name] = has.get("value", "")
        elif tag == "select":
            self._select, self._first = name, None
            if "multiple" in has:
                self._open[name] = []
        elif tag == "textarea":
            self._textarea, self._open[name] = name, ""

    def _option(self, has: dict[str, str]) -> None:
        if not self._select or self._open is None:
            return
        if "selected" in has:
            self._put(self._select, has.get("value", ""))
        elif self._first is None:
            self._first = has.get("value", "")

    def _put(self, name: str, value: str) -> None:
        if isinstance(self._open.get(name), list):
            self._open[name].append(value)
        else:
            self._open[name] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select" and self._select:
            if self._open is not None:
                self._open.setdefault(self._select, self._first or "")
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""
        elif tag == "script":
            self._script = ""

    def handle_data(self, data: str) -> None:
        if self._script:
            if "json" not in self._script:
                self.scripts.append(data)
        elif self._textarea and self._open is not None:
            self._open[self._textarea] += data.removeprefix("\n") if not self._open[self._textarea] else data
        else:
            self.words.append(data)


def fields_of(response: Any) -> dict[str, Any]:
    """What the browser would send from this page if its reader changed nothing."""
    return Page(response.content.decode()).fields()
