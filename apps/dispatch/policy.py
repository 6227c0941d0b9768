"""The choice itself: which department, which person, and why. Pure: what it knows is passed in.

Reasons are (code, params) pairs, so that they can be told in any language later; `explain` tells them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from apps.dispatch.models import Strategy

Reason = tuple[str, dict[str, Any]]

SENTENCES = {
    "rule": _("The rule of priority %(priority)s sends %(process)s to %(department)s."),
    "tie": _("Several departments have this priority; %(department)s has the least open work (%(load)s min)."),
    "fallback": _("No rule fits; %(department)s is the first department that can do %(process)s."),
    "none": _("No active department can do %(process)s. Add a rule or a department, or assign the task."),
    "queue": _("It waits in the queue to be claimed."),
    "least_loaded": _("%(operator)s has the least open work (%(load)s min)."),
    "round_robin": _("It is the turn of %(operator)s."),
    "same_as_previous": _("%(operator)s did the step before."),
    "nobody": _("Nobody there is free to get it, so it waits in the queue to be claimed."),
    "person": _("%(actor)s decided so."),
    "person_because": _("%(actor)s decided so: %(reason)s"),
    "claimed": _("%(actor)s claimed it."),
}
VERDICTS = {
    "chosen": _("chosen"),
    "lower_priority": _("lower priority"),
    "more_load": _("more open work"),
    "inactive": _("not active"),
    "cannot": _("cannot do the process"),
    "absent": _("absent"),
    "not_member": _("not a member"),
    "full": _("has enough open tasks"),
    "not_his_turn": _("not next in turn"),
    "not_previous": _("did not do the step before"),
    "later": _("later in the list"),
    "queue": _("may claim it"),
}


def explain(code: str, params: dict[str, Any]) -> str:
    """One reason in the reader's language."""
    return str(SENTENCES[code]) % in_words(params)


def in_words(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters as the reader calls them: one with a `_zh` twin is told by it to Chinese readers."""
    if not (get_language() or "").startswith("zh"):
        return params
    return params | {name.removesuffix("_zh"): value for name, value in params.items() if name.endswith("_zh") and value}


def tell_candidates(candidates: Sequence[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    """(name, load in minutes, verdict in words) of the candidates that a decision keeps."""
    return [(in_words(one).get("name", ""), one.get("load", ""), VERDICTS.get(one.get("verdict", ""), "")) for one in candidates]


@dataclass(frozen=True)
class TaskNeed:
    """What has to be done: the process, by both names."""

    process: str
    process_zh: str = ""


@dataclass(frozen=True)
class DepartmentCandidate:
    """`priority` is the rule's, None without a rule; `load` is open work in minutes."""

    id: int
    name: str
    name_zh: str = ""
    is_active: bool = True
    can_do: bool = True
    rule_id: int | None = None
    priority: int | None = None
    load: int = 0
    position: int = 0
    verdict: str = ""


@dataclass(frozen=True)
class OperatorCandidate:
    """`load` is open work in minutes, `open_tasks` what counts against the limit."""

    id: int
    name: str
    load: int = 0
    open_tasks: int = 0
    is_member: bool = True
    is_active: bool = True
    is_absent: bool = False
    verdict: str = ""


@dataclass(frozen=True)
class Choice:
    """`id` of the chosen department or operator (None: nobody), why, and every candidate with its verdict."""

    id: int | None
    reasons: tuple[Reason, ...]
    candidates: tuple[Any, ...] = ()
    rule_id: int | None = None


def _names(need: TaskNeed, department: DepartmentCandidate | None = None) -> dict[str, Any]:
    names = {"process": need.process, "process_zh": need.process_zh}
    if department:
        names |= {"department": department.name, "department_zh": department.name_zh}
    return names


def top_rules(candidates: Sequence[DepartmentCandidate]) -> list[DepartmentCandidate]:
    """The able departments whose rules share the highest priority: only among them does the load decide."""
    able = [one for one in candidates if one.is_active and one.can_do and one.priority is not None]
    best = max((one.priority for one in able), default=None)
    return [one for one in able if one.priority == best]


def choose_department(need: TaskNeed, candidates: Sequence[DepartmentCandidate]) -> Choice:
    """Where the task goes. Ties go to the smaller load, then to the lower id, so that a rerun gives the same answer."""
    top = top_rules(candidates)
    able = [one for one in candidates if one.is_active and one.can_do]
    reasons: tuple[Reason, ...]
    if top:
        chosen = min(top, key=lambda one: (one.load, one.id))
        reasons = (("rule", _names(need, chosen) | {"priority": chosen.priority}),)
        if len(top) > 1:
            reasons += (("tie", _names(need, chosen) | {"load": chosen.load}),)
    elif able:
        chosen = min(able, key=lambda one: (one.position, one.id))
        reasons = (("fallback", _names(need, chosen)),)
    else:
        return Choice(None, (("none", _names(need)),), tuple(replace(one, verdict=_unable(one)) for one in candidates))

    def verdict(one: DepartmentCandidate) -> str:
        if one.id == chosen.id:
            return "chosen"
        if one not in able:
            return _unable(one)
        if not top:
            return "later"
        return "more_load" if one in top else "lower_priority"

    return Choice(chosen.id, reasons, tuple(replace(one, verdict=verdict(one)) for one in candidates), chosen.rule_id)


def _unable(one: DepartmentCandidate) -> str:
    return "cannot" if one.is_active else "inactive"


def gate(one: OperatorCandidate, wip_limit: int | None) -> str:
    """Why this person cannot get a task at all, or "" if he can."""
    if not one.is_member:
        return "not_member"
    if not one.is_active:
        return "inactive"
    if one.is_absent:
        return "absent"
    return "full" if wip_limit is not None and one.open_tasks >= wip_limit else ""


def choose_operator(
    strategy: str,
    candidates: Sequence[OperatorCandidate],
    *,
    wip_limit: int | None = None,
    last_operator: int | None = None,
    previous_operator: int | None = None,
) -> Choice:
    """Who gets the task, by the rule's strategy; nobody means that it waits to be claimed.

    Gates come first. `last_operator` is where the round robin stands, `previous_operator` who did the step before.
    Ties go to the lowest id.
    """
    barred = {one.id: gate(one, wip_limit) for one in candidates}
    free = sorted((one for one in candidates if not barred[one.id]), key=lambda one: one.id)

    def told(chosen: int | None, other: str, *reasons: Reason) -> Choice:
        verdicts = (replace(one, verdict=barred[one.id] or ("chosen" if one.id == chosen else other)) for one in candidates)
        return Choice(chosen, reasons, tuple(verdicts))

    if strategy == Strategy.QUEUE:
        return told(None, "queue", ("queue", {}))
    if not free:
        return told(None, "", ("nobody", {}))
    if strategy == Strategy.SAME_AS_PREVIOUS:
        for one in free:
            if one.id == previous_operator:
                return told(one.id, "not_previous", ("same_as_previous", {"operator": one.name}))
        return told(None, "not_previous", ("nobody", {}))
    if strategy == Strategy.ROUND_ROBIN:
        after = [one for one in free if last_operator is not None and one.id > last_operator]
        one = (after or free)[0]
        return told(one.id, "not_his_turn", ("round_robin", {"operator": one.name}))
    one = min(free, key=lambda one: (one.load, one.id))
    return told(one.id, "more_load", ("least_loaded", {"operator": one.name, "load": one.load}))
