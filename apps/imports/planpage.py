"""What the page of a run shows beside the run itself, what was typed on it, and what is said after a button."""

from collections import Counter
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from apps.imports.badrows import columns_of
from apps.imports.models import UNTOUCHED, ImportRow, ImportRun, ImportState, RowAction, RowState
from apps.imports.registry import KINDS, Kind
from apps.imports.staging import as_typed

PAGE = 200  # things of a plan on one page
SHOWN = {RowAction.CREATE: pgettext_lazy("rows", "New"), RowAction.UPDATE: pgettext_lazy("rows", "Changed"), RowAction.SAME: _("The same")}
FIGURES = {
    (RowState.DONE, RowAction.CREATE): _("Created"),
    (RowState.DONE, RowAction.UPDATE): pgettext_lazy("rows", "Changed"),
    (RowState.OPEN, RowAction.CREATE): _("To create"),
    (RowState.OPEN, RowAction.UPDATE): _("To change"),
    ("", RowAction.SAME): _("The same"),
    (RowState.UNDONE, ""): pgettext_lazy("rows", "Taken back"),
}
CELL, LEAVE = "cell", "leave"  # cell-<row>-<column>, leave-<row>: how a form names them


def figures(run: ImportRun) -> list[tuple[Any, int]]:
    """How many things the run made and changed, and how many it would: (label, number). One query."""
    counts: Counter[tuple[str, str]] = Counter()
    for state, action, number in run.rows.planned().order_by().values_list("state", "action").annotate(Count("pk")):
        counts[("", action) if action == RowAction.SAME else (state, "") if state == RowState.UNDONE else (state, action)] += number
    return [(label, counts[key]) for key, label in FIGURES.items() if counts[key]]


def actions(run: ImportRun) -> dict[str, Any]:
    """What can be done with the run now."""
    opened = run.rows.open()
    good, bad = opened.planned().count(), run.rows.bad().count()
    done = run.rows.filter(state=RowState.DONE).count()
    is_over = run.is_working or run.state in (ImportState.APPLIED, ImportState.REVERTED)
    return {
        "good": good, "bad": bad, "may_apply": bool(good and not bad and not is_over), "may_apply_good": bool(good and bad and not is_over),
        "may_correct": bool(bad and not is_over), "may_plan_again": not is_over and bool(bad or opened.filter(action="").exists()),
        "may_revert": bool(done and not run.is_working), "imported": done, "is_over": is_over or not opened.exists(),
        "left_out": run.rows.left_out()[:PAGE], "left_out_total": run.rows.left_out().count(), "may_take_in": not is_over,
    }  # fmt: skip


def entries(request: HttpRequest, run: ImportRun) -> dict[str, Any]:
    """One page of what the things become, of one kind or of all."""
    show, page = request.GET.get("show", ""), request.GET.get("page", "1")
    number = max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 6 else 1
    rows = run.rows.planned().order_by("part", "number")
    counts = {action: rows.filter(action=action).count() for action in SHOWN}
    if show in SHOWN:
        rows = rows.filter(action=show)
    total = rows.count()
    found = [
        {
            **row.entry,
            "url": _address(row.address),
            "state": row.state,
            "tone": {"create": "success", "update": "warning"}.get(row.action, "plain"),
        }
        for row in rows[(number - 1) * PAGE : number * PAGE]
    ]
    return {
        "entries": found, "show": show, "page": number, "entries_total": total, "has_next": number * PAGE < total,
        "shows": [(action, label, counts[action]) for action, label in SHOWN.items() if counts[action]],
    }  # fmt: skip


def wrong(run: ImportRun) -> Any:
    return run.rows.open().filter(action__in=(RowAction.ERROR, RowAction.CONFLICT))


def fixable(run: ImportRun, kind: Kind, row: ImportRow) -> dict[str, Any]:
    """A wrong row as the page offers it for correction: the cells that are wrong, and behind them all others."""
    columns = kind.resources[row.part].columns()
    wrong, others = [], []
    told: dict[str, list] = {}
    for remark in row.remarks:
        if remark["level"] == "error":
            told.setdefault(remark["name"] if remark["name"] in columns else "", []).append(remark)
    for name in dict.fromkeys([*columns_of(run, kind, row.part), *(name for name in told if name)]):
        cell = {"name": f"{CELL}-{row.pk}-{name}", "label": columns[name].label, "value": as_typed(row.cells.get(name))}
        if name in told:
            wrong.append({**cell, "remarks": told[name], "nearest": next((one["nearest"] for one in told[name] if one["nearest"]), "")})
        else:
            others.append(cell)
    summary = " · ".join([cell["value"] for cell in others if cell["value"]][:4])
    return {"row": row, "wrong": wrong, "others": others, "remarks": told.get("", []), "summary": summary}


def typed(run: ImportRun, data: Any) -> dict[int, dict[str, str]]:
    """The cells of the form that say something else than the run's rows; of a row that is to be left out, all of them, blank."""
    typed: dict[int, dict[str, str]] = {}
    leaving: set[int] = set()
    for name, value in data.items():
        kind, _dash, rest = name.partition("-")
        pk, _dash, column = rest.partition("-")
        if kind == CELL and pk.isascii() and pk.isdigit() and len(pk) < 19:
            typed.setdefault(int(pk), {})[column] = value.replace("\x00", "").strip()
        elif kind == LEAVE and rest.isascii() and rest.isdigit() and len(rest) < 19:
            leaving.add(int(rest))
    rows = {row.pk: row for row in run.rows.open().filter(pk__in={*typed, *leaving})}
    changed = {
        pk: {name: value for name, value in cells.items() if pk not in rows or value != as_typed(rows[pk].cells.get(name)).strip()}
        for pk, cells in typed.items()
    }
    blank = {pk: dict.fromkeys(KINDS[run.resource].resources[rows[pk].part].columns(), "") for pk in leaving if pk in rows}
    return {pk: cells for pk, cells in changed.items() if cells} | blank


def title_of(run: ImportRun) -> str:
    """The heading of the run's pages: which import it is, of what, from which file."""
    what = KINDS[run.resource].label if run.resource in KINDS else run.resource
    return gettext("Import %(run)s · %(what)s · %(file)s") % {"run": run.pk, "what": what, "file": run.file_name}


def said(run: ImportRun, *, was_applied: bool) -> tuple[int, str]:
    """What became of a run, for whoever pressed the button, which was perhaps that of applying."""
    done = run.rows.filter(state=RowState.DONE)
    numbers = {"run": run.pk, "rows": run.rows_done, "left": run.rows.open().count()}
    if run.is_working:
        return messages.INFO, gettext("Import %(run)s goes on in the background. You get a notice when it is done.") % numbers
    if run.state == ImportState.APPLIED and not run.rows.exclude(kept_because="").exists():
        if not done.exclude(action=RowAction.SAME).exists():
            return messages.SUCCESS, gettext(
                "Import %(run)s is applied: nothing had to be changed, everything is as the file says."
            ) % numbers
        text = ngettext("Import %(run)s is applied: %(rows)s row.", "Import %(run)s is applied: %(rows)s rows.", run.rows_done)
        return messages.SUCCESS, text % numbers
    if run.state == ImportState.REVERTED:
        return messages.SUCCESS, gettext("Import %(run)s is taken back: everything is as it was before.") % numbers
    if run.state == ImportState.STOPPED:
        return messages.WARNING, gettext("Import %(run)s is stopped.") % numbers
    if run.state in UNTOUCHED and was_applied:
        return messages.WARNING, gettext(
            "Nothing was imported: what the rows would change has changed meanwhile. Look at them below, and plan again."
        )
    if run.state in UNTOUCHED:
        return messages.INFO, gettext("The rows are planned again.")
    if run.rows.exclude(kept_because="").exists():
        return messages.WARNING, gettext("Not everything can be taken back: see below what stays, and why.")
    return messages.WARNING, gettext("Import %(run)s is applied in part. Rows imported: %(rows)s, left: %(left)s.") % numbers


def _address(address: str) -> str:
    """ "app.model:pk" -> the page of that object, "" where it has none."""
    label, _colon, pk = address.partition(":")
    try:
        return reverse(f"admin:{label.replace('.', '_')}_change", args=[pk]) if pk else ""
    except NoReverseMatch:
        return ""
