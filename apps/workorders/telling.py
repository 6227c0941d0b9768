"""Events as sentences: what somebody did, in the reader's language."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Department, User
from apps.accounts.roles import Role
from apps.workorders.models import WorkEvent

ORDER = {
    "create": gettext_lazy("created the order"),
    "copy": gettext_lazy("created the order as a copy"),
    "revise": gettext_lazy("changed the order"),
    "delete": gettext_lazy("deleted the order"),
    "submit": gettext_lazy("submitted the order"),
    "approve": gettext_lazy("approved the order"),
    "reject": gettext_lazy("rejected the order"),
    "hold": gettext_lazy("put the order on hold"),
    "resume": gettext_lazy("let the order go on"),
    "cancel": gettext_lazy("cancelled the order"),
    "begin": gettext_lazy("began the order"),
    "complete": gettext_lazy("completed the order"),
    "reopen": gettext_lazy("opened the order again"),
    "receive": gettext_lazy("received material %(material)s"),
    "share": gettext_lazy("shared the order with %(with)s"),
    "unshare": gettext_lazy("took the share with %(with)s back"),
    "link": gettext_lazy("linked the customer's code %(code)s"),
    "unlink": gettext_lazy("took the link of code %(code)s away"),
}
STEP = {
    "begin": gettext_lazy("began %(process)s"),
    "complete": gettext_lazy("completed %(process)s"),
    "skip": gettext_lazy("skipped %(process)s"),
    "reopen": gettext_lazy("opened %(process)s again"),
}
TASK = {
    "queue": gettext_lazy("put it into the queue"),
    "dispatch": gettext_lazy("dispatched it: %(place)s"),
    "assign": gettext_lazy("assigned it: %(place)s"),
    "claim": gettext_lazy("claimed it"),
    "release": gettext_lazy("gave it back"),
    "start": gettext_lazy("started it"),
    "pause": gettext_lazy("paused it"),
    "resume": gettext_lazy("resumed it"),
    "report": gettext_lazy("reported %(good)s good, %(scrap)s scrap"),
    "complete": gettext_lazy("completed it with %(good)s good, %(scrap)s scrap"),
    "undo": gettext_lazy("took back “%(undone)s” (%(good)s good, %(scrap)s scrap)"),
    "cancel": gettext_lazy("cancelled it"),
    "split": gettext_lazy("split %(parts)s off"),
    "rebuild": gettext_lazy("corrected its totals from the ledger"),
    "share": gettext_lazy("shared it with %(with)s"),
    "unshare": gettext_lazy("took the share with %(with)s back"),
}
VERBS = {
    "create": gettext_lazy("create"),
    "copy": gettext_lazy("copy"),
    "revise": gettext_lazy("change"),
    "delete": gettext_lazy("delete"),
    "submit": gettext_lazy("submit"),
    "approve": gettext_lazy("approve"),
    "reject": gettext_lazy("reject"),
    "hold": gettext_lazy("hold"),
    "begin": gettext_lazy("begin"),
    "reopen": gettext_lazy("reopen"),
    "receive": gettext_lazy("receive material"),
    "share": gettext_lazy("share"),
    "unshare": gettext_lazy("take a share back"),
    "link": gettext_lazy("link a code"),
    "unlink": gettext_lazy("take a link away"),
    "skip": gettext_lazy("skip"),
    "queue": gettext_lazy("put into the queue"),
    "dispatch": gettext_lazy("dispatch"),
    "assign": gettext_lazy("assign"),
    "claim": gettext_lazy("claim"),
    "release": gettext_lazy("give back"),
    "start": gettext_lazy("start"),
    "pause": gettext_lazy("pause"),
    "resume": gettext_lazy("resume"),
    "report": gettext_lazy("report"),
    "complete": gettext_lazy("completion"),
    "undo": gettext_lazy("take back"),
    "cancel": gettext_lazy("cancel"),
    "split": gettext_lazy("split"),
    "rebuild": gettext_lazy("correct totals"),
}


@dataclass(frozen=True)
class Told:
    """An event and its sentence. `can_correct` says that the reader may take it back."""

    event: WorkEvent
    text: str
    can_correct: bool = False


def tell(events: Iterable[WorkEvent]) -> list[Told]:
    """Each event with its sentence. Two queries, for the names of people and departments; needs `step__process` and `task` loaded."""
    events = list(events)
    people, places = _mentioned(events, "operator"), _mentioned(events, "department")
    operators = {user.pk: str(user) for user in User.objects.filter(pk__in=people)} if people else {}
    departments = {one.pk: one.label for one in Department.objects.filter(pk__in=places)} if places else {}
    return [Told(event, sentence(event, operators, departments)) for event in events]


def _mentioned(events: list[WorkEvent], name: str) -> set[int]:
    return {pair[1] for event in events if isinstance(pair := event.data.get(name), list) and len(pair) == 2 and pair[1]}


def sentence(event: WorkEvent, operators: dict[int, str] | None = None, departments: dict[int, str] | None = None) -> str:
    """What happened, without who and when."""
    table = TASK if event.task_id else STEP if event.step_id else ORDER
    template = table.get(event.verb)
    if template is None:
        return event.verb
    data = event.data
    place = [
        (departments or {}).get((data.get("department") or [None, None])[1], ""),
        (operators or {}).get((data.get("operator") or [None, None])[1], ""),
    ]
    return str(template) % {
        "process": event.step.process.label if event.step_id and event.step else "",
        "good": abs(event.good) if event.verb == "undo" else event.good,
        "scrap": abs(event.scrap) if event.verb == "undo" else event.scrap,
        "place": " · ".join(part for part in place if part) or _("no department"),
        "undone": VERBS.get(data.get("verb", ""), data.get("verb", "")),
        "parts": ", ".join(str(part) for part in data.get("parts", ())),
        "material": data.get("material", ""),
        "code": data.get("code", ""),
        "with": Role(data["with"]).label if data.get("is_role") and data["with"] in Role.values else data.get("with", ""),
    }
