"""Texts are found wherever they can be written, and none is left untranslated."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils.translation import gettext, override

from apps.ops.messages import Catalogue, Text, compile_stale, texts, texts_of_python, texts_of_template

pytestmark = pytest.mark.once

PO = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"

msgid "Order"
msgstr "工单"

#, fuzzy
msgid "Task"
msgstr "任务"

msgid "Gone"
msgstr "没了"

msgid "%(count)s task"
msgid_plural "%(count)s tasks"
msgstr[0] "%(count)s 个任务"
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    one = Catalogue.all(tmp_path)[0]
    one.folder.mkdir(parents=True)
    one.source.write_text(PO, encoding="utf-8")
    return one


def test_every_text_is_translated():
    wanted = texts()
    problems = {catalogue.locale: catalogue.problems(wanted) for catalogue in Catalogue.all()}
    assert {locale: found for locale, found in problems.items() if found} == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('_("a")', [Text("a")]),
        ('gettext("a" " b")', [Text("a b")]),
        ('translation.gettext_lazy("a")', [Text("a")]),
        ('ngettext("one", "many", n)', [Text("one", plural="many")]),
        ('ngettext_lazy("one", "many", "n")', [Text("one", plural="many")]),
        ('pgettext("verb", "order")', [Text("order", "verb")]),
        ('npgettext("verb", "one", "many", n)', [Text("one", "verb", "many")]),
        ("_(name)", []),
        ('other("a")', []),
        ('pgettext(context, "a")', []),
    ],
)
def test_texts_in_python(source, expected):
    assert list(texts_of_python(source)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{% translate "It\'s late" %}', [Text("It's late")]),
        ('{% translate "50%" %}', [Text("50%%")]),
        ('{% translate "order" context "verb" %}', [Text("order", "verb")]),
        ("{% blocktranslate %}by {{ name }}{% endblocktranslate %}", [Text("by %(name)s")]),
        ("{% blocktranslate trimmed %}\n  a\n  b\n{% endblocktranslate %}", [Text("a b")]),
        ("{% blocktranslate count n=x %}one{% plural %}{{ n }} many{% endblocktranslate %}", [Text("one", None, "%(n)s many")]),
        (
            "{% blocktranslate count n=x context 'c' %}one{% plural %}many{% endblocktranslate %}",
            [Text("one", "c", "many")],
        ),
        ('{% include "x.html" with title=_("Title") %}', [Text("Title")]),
        ('{{ _("Name")|upper }}', [Text("Name")]),
        ('{{ value|default:_("none") }}', [Text("none")]),
        ("gettext('not a tag') {# translate 'no' #}", []),
        ('{% if a %}\n    <p>{% translate "in" %}</p>\n  {% endif %}\n{% translate "out" %}', [Text("in"), Text("out")]),
    ],
)
def test_texts_in_templates(source, expected):
    assert list(texts_of_template(source)) == expected


def test_the_projects_own_texts_are_found():
    found = texts()
    assert Text("Operations") in found  # apps/ops/apps.py
    assert all(text.id for text in found)


def test_an_update_keeps_what_is_translated_and_drops_what_is_gone_or_guessed(catalogue):
    wanted = {Text("Order"), Text("Task"), Text("New"), Text("%(count)s task", None, "%(count)s tasks")}
    catalogue.write(catalogue.updated(wanted))
    written = catalogue.source.read_text(encoding="utf-8")
    assert 'msgid "Order"\nmsgstr "工单"' in written
    assert 'msgid "Task"\nmsgstr ""' in written
    assert 'msgid "New"\nmsgstr ""' in written
    assert 'msgstr[0] "%(count)s 个任务"' in written
    assert "Gone" not in written
    assert "fuzzy" not in written
    assert "#:" not in written
    catalogue.write(catalogue.updated(wanted))
    assert catalogue.source.read_text(encoding="utf-8") == written


def test_a_text_that_gets_a_plural_keeps_its_translation(catalogue):
    updated = catalogue.updated({Text("Order", None, "Orders")})
    assert updated.get("Order").string == ["工单"]
    assert catalogue.updated({Text("%(count)s task")}).get("%(count)s task").string == "%(count)s 个任务"


def test_problems_are_named(catalogue):
    wanted = {Text("Order"), Text("Task"), Text("New"), Text("%(count)s task", None, "%(count)s tasks")}
    assert catalogue.problems(wanted) == ["obsolete: 'Gone'", "missing: 'New'", "fuzzy: 'Task'"]


def test_a_translation_that_loses_or_invents_a_placeholder_is_named(catalogue):
    catalogue.source.write_text(
        PO + '\n#, python-format\nmsgid "by %(name)s"\nmsgstr "由 %(nome)s"\n',
        encoding="utf-8",
    )
    wanted = {Text("Order"), Text("by %(name)s"), Text("%(count)s task", None, "%(count)s tasks"), Text("Gone")}
    assert catalogue.problems(wanted) == ["obsolete: 'Task'", "wrong placeholders: 'by %(name)s'"]


def test_only_a_changed_catalogue_is_compiled(tmp_path, catalogue):
    assert catalogue.is_stale()
    assert compile_stale(tmp_path) == ["zh_Hans"]
    assert not catalogue.is_stale()
    assert compile_stale(tmp_path) == []
    catalogue.compiled.unlink()
    catalogue.source.unlink()
    assert not catalogue.is_stale()
    catalogue.compile()
    assert not catalogue.compiled.exists()


def test_tests_can_speak_chinese():
    with override("zh-hans"):
        assert gettext("Yes") == "是"  # Django's own
    assert [catalogue.locale for catalogue in Catalogue.all() if catalogue.is_stale()] == []


def test_the_command_checks_without_writing(monkeypatch, tmp_path, catalogue):
    monkeypatch.setattr(Catalogue, "all", classmethod(lambda cls: [catalogue]))
    said = StringIO()
    with pytest.raises(CommandError, match="zh_Hans"):
        call_command("messages", "--check", stdout=said)
    assert "zh_Hans: obsolete: 'Gone'" in said.getvalue()
    assert catalogue.source.read_text(encoding="utf-8") == PO


def test_the_command_updates_and_compiles(monkeypatch, catalogue):
    monkeypatch.setattr(Catalogue, "all", classmethod(lambda cls: [catalogue]))
    said = StringIO()
    call_command("messages", stdout=said)
    assert "to look at." in said.getvalue()
    assert catalogue.compiled.exists()
    assert "Gone" not in catalogue.source.read_text(encoding="utf-8")


def test_the_command_compiles_only(capsys):
    call_command("messages", "--compile")
    assert capsys.readouterr().out == "Compiled: nothing needed it.\n"
