"""Every persona at every address, with own rows and foreign ones: what is out of sight reads as absent and is never named."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import transaction
from django.db.models import Model, Sum
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLResolver
from rest_framework.test import APIClient

from apps.accounts.models import AccessToken, Department, User
from apps.catalog.models import Customer, Process, Product
from apps.core.querysets import ScopedQuerySet
from apps.dispatch.models import DispatchRule
from apps.notices.models import Notice
from apps.scanning.codes import Kind, decode, encode
from apps.scanning.models import Badge, Device, LinkedCode, Scan
from apps.scanning.services import devices
from apps.workorders import services as do
from apps.workorders.models import Task, WorkEvent, WorkOrder
from tests import factories
from tests.personas import again, api_of, client_of
from tests.security.canaries import NAMES, PREFIX, WORD, body_of, plant, pointed_to

pytestmark = pytest.mark.slow
PERSONAS = [
    "maker", "salesperson", "supervisor", "prepress_lead", "operator", "stranger", "planner", "auditor", "administrator", "nobody",
    "anonymous",
]  # fmt: skip
ABSENT = 987654321

# What the pk in an address is, where the address does not say it by app and model.
ROWS: dict[str, type[Model]] = {
    "open_notice": Notice, "revoke_token": AccessToken, "preview": DispatchRule,
    "task": Task, "workorder": WorkOrder, "customer": Customer, "product": Product, "process": Process, "department": Department,
    "notification": Notice, "scan": Scan,
}  # fmt: skip

LIST, ADD = {200, 403}, {200, 403}
READ = {200, 403}
WRITE = {200, 302, 400, 403, 409}
# name of the address -> (statuses of GET, statuses of POST with an empty body), for who is signed in and rows in sight
EXPECTED: list[tuple[str, set[int], set[int]]] = [
    (r"health|health-ready", {200, 503}, {200, 405, 503}),
    (r"metrics", {404}, {405}),  # there is none without a token
    (r"set_language", {302, 405}, {302}),
    (r"admin:index|admin:jsi18n", {200}, {200, 405}),
    (r"admin:imports_importrun_add", {302, 403}, {302, 403}),
    (r"admin:imports_savedexport_add", {302, 403}, {200, 302, 403}),  # begun from a list, where what it saves is told
    (r"admin:imports_importrun_change", READ, {403, 405}),
    (r"root", {302}, {302}),
    (r"no_row|admin:view_on_site", {404}, {404}),
    (r"admin:login", {200, 302}, {200, 302}),
    (r"admin:logout", {405}, {200, 302}),
    (r"admin:password_change_done|admin:password_change|dashboard:change_password", {200, 302}, {200, 302, 400, 405}),
    (r"admin:app_list", {200, 404}, {200, 404, 405}),
    (r"admin:autocomplete", {403, 404}, {403, 404, 405}),
    (r"admin:unknown", {404}, {404}),
    (r"admin:search|dashboard:search", {200}, {200, 405}),
    (r"operations", READ, {405}),
    (r"dashboard:panels|dashboard:account|dashboard:manual", {200}, {200, 405}),
    (r"dashboard:sign_in|dashboard:sign_in_code", {200, 302}, {200, 302}),
    (r"dashboard:confirm|dashboard:second_factor", {200}, {200}),
    (r"dashboard:end_session", {405}, {302}),
    (r"dashboard:read_notices", {405}, {302}),
    (r"dashboard:open_notice", {302, 405}, {302}),
    # One's own tokens and runs only, also for who sees those of others.
    (r"dashboard:revoke_token", {302, 405}, {302, 404}),
    (r"dashboard:preview", READ, {403, 405}),
    (r"admin:imports_upload", READ, WRITE),
    (r"admin:imports_(apply|stop|revert|again|correct|corrected)", {200, 302, 403, 405}, WRITE | {404}),
    (r"admin:imports_columns", READ | {302, 404}, WRITE | {404}),
    (r"admin:imports_rows", READ | {404}, {403, 405}),
    (r"admin:imports_progress", READ, {403, 405}),
    (r"admin:\w+_changelist", LIST, WRITE),
    (r"admin:\w+_add", ADD, WRITE),
    (r"admin:\w+_export", READ, {403, 405}),
    (r"admin:\w+_change|admin:\w+_delete", READ, WRITE),
    (r"admin:\w+_history|admin:\w+_simple_history", {200, 403, 404}, {403, 404, 405}),
    (r"admin:workorders_task_loads", {200, 403}, {403, 405}),
    (r"admin:\w+_why", READ, {200, 403, 405}),
    (r"admin:\w+_verb_\w+", READ, WRITE),
    (r"admin:\w+_password_change", {200, 302, 403, 404}, {200, 302, 403, 404}),
    (r"admin:redirect", {302}, {302}),
    (r"floor:\w+", {200}, {405}),
    (r"scanned", {302, 404}, {405}),
    (r"api:login", {405}, {400}),
    (r"api:badge", {405}, {403}),  # for a handheld's own token
    (r"api:pin", {405}, {400}),
    (r"api:changes", {200, 403}, {403, 405}),
    (r"api:scan-resolve", {400}, {405}),  # without a code
    (r"api:logout", {405}, {200, 204}),
    (r"api:me|api:schema|api:docs|api:handhelds|api:redoc", {200}, {405}),
    (r"api:task-summary|api:department-workload|api:collaboration|api:overview", {200, 403}, {403, 405}),
    (r"api:workorder-list", {200, 403}, {201, 400, 403}),
    (r"api:\w+-list", {200, 403}, {400, 403, 405}),
    (r"api:\w+-detail", {200, 403}, {403, 405}),
    (r"api:\w+-[\w-]+", {403, 405}, {200, 201, 204, 400, 403, 409, 428}),
    (r"api:unknown", {404}, {404}),
]  # fmt: skip
# Anybody may ask these without signing in.
OPEN = (
    r"no_row|admin:view_on_site|health|health-ready|metrics|set_language|root|admin:login|dashboard:sign_in|dashboard:sign_in_code|api:login|api:unknown|dashboard:panels|floor:\w+"
    r"|scanned"
)


@dataclass(frozen=True)
class Route:
    name: str
    pattern: str

    @property
    def has_row(self) -> bool:
        return bool(re.search(r"object_id|<int:pk>|<id>|\?P<pk>|\(\[\^/\]\+\)", self.pattern)) and "content_type_id" not in self.pattern

    @property
    def model(self) -> type[Model]:
        parts = self.pattern.split("/")
        if parts[0] == "admin" and len(parts) > 2:
            try:
                return apps.get_model(parts[1], parts[2])
            except LookupError:
                pass
        short = self.name.split(":")[-1]
        return ROWS.get(short) or ROWS[short.split("-")[0]]

    def address(self, pk: Any = ABSENT, version: Any = ABSENT) -> str:
        text = re.sub(r"\(\?P<pk>[^)]*\)", str(pk), self.pattern.replace("^", "").replace("$", ""))
        text = text.replace("([/]+)", str(pk), 1).replace("([/]+)", str(version))
        text = text.replace("<path:content_type_id>", str(ABSENT)).replace("<path:row>", f"{ABSENT}/1/")
        text = re.sub(r"\(\?P<app_label>[^)]*\)", "workorders", text)
        text = re.sub(r"\(\?P<url>[^)]*\)", "nothing/here/", text)
        text = re.sub(r"\(\?P<language>[^)]*\)\\.json", "en.json", text).replace("texts\\.", "texts.")
        text = re.sub(r"\(\?P<code>[^)]*\)/\?", encode(Kind.ORDER, ABSENT), text)
        return "/" + re.sub(r"<(path:object_id|int:pk|id)>", str(pk), text)


def _walk(resolver: Any, prefix: str = "", space: str = "") -> Iterator[Route]:
    for one in resolver.url_patterns:
        pattern = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _walk(one, pattern, one.namespace or space)
            continue
        name = one.name
        if name is None:
            name = "redirect" if "object_id" in pattern else "unknown" if "url" in pattern else "root"
        yield Route(f"{space}:{name}" if space and name != "root" else name, pattern)


ROUTES = list(dict.fromkeys(_walk(get_resolver())))


def expected_of(name: str) -> tuple[set[int], set[int]]:
    for pattern, reads, writes in EXPECTED:
        if re.fullmatch(pattern, name):
            return reads, writes
    raise LookupError(name)


@pytest.mark.once
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.name} {route.pattern}")
def test_every_address_has_an_expectation(route):
    expected_of(route.name)
    if route.has_row:
        assert issubclass(route.model, Model)
    assert not re.search(r"[<>()\[\]?*]", route.address())


def test_no_expectation_is_left_over():
    names = {route.name for route in ROUTES}
    assert [pattern for pattern, *_rest in EXPECTED if not any(re.fullmatch(pattern, name) for name in names)] == []


@pytest.fixture
def world(shop, settings):
    """Orders of two customers in several states, with words in every text. Everybody has something of his own."""
    settings.DOCKET_API_PER_MINUTE = 100_000
    ours = shop.approved("leaflet", "carton")
    task = shop.started(shop.ready_to_print(ours), by="operator")
    do.report(task, by=shop.people["operator"], good=100, scrap=2, reason="Torn.")
    shop.approved()
    shop.submitted()
    theirs = {"by": "other_maker", "customer": shop.other_customer}
    foreign = do.submit_order(shop.draft(steps_text="CTP > VAN", **theirs), by=shop.people["other_maker"])
    foreign = do.approve_order(foreign, by=shop.people["other_salesperson"])
    do.assign_task(shop.task(foreign, "VAN"), by=shop.people["supervisor"], department=shop.departments["outsourcing"])
    shop.draft(steps_text="CTP", **theirs)
    shop.submitted(steps_text="CTP", **theirs)
    factories.ToolFactory(code="M-1", customer=shop.other_customer)
    do.share(foreign, by=shop.people["superuser"], user=shop.people["auditor"])
    _floor(shop, task, shop.task(foreign, "VAN"))
    factories.BackupFactory(state="proved")
    factories.JobRunFactory(state="dead")
    for user in shop.people.values():
        factories.NoticeFactory(user=user, kind="order_rejected")
        factories.ImportRunFactory(owner=user)
        factories.ImportProfileFactory(owner=user)
        factories.ExportRunFactory(owner=user, saved=factories.SavedExportFactory(owner=user))
        factories.AccessTokenFactory(user=user)
    return shop


def _floor(shop, ours, theirs):
    """Two handhelds with somebody on each, their late scans, and what hangs on the orders."""
    for code, name, task in (("printing", "operator", ours), ("outsourcing", "stranger", theirs)):
        badge = factories.BadgeFactory(user=shop.people[name], issued_by=shop.people["superuser"])
        device = factories.DeviceFactory(name=f"Handheld of {code}", department=shop.departments[code])
        session = factories.OperatorSessionFactory(device=device, badge=badge)
        for scan in ({"task": task, "order": task.order, "outcome": "held"}, {"outcome": "refused"}):
            factories.ScanFactory(user=badge.user, device=device, session=session, **scan)
        factories.LinkedCodeFactory(order=task.order, linked_by=shop.people["superuser"])
        factories.PrintoutFactory(order=task.order, printed_by=shop.people["superuser"])


@pytest.fixture
def canaries(world):
    return plant()


def fingerprint() -> tuple:
    """What changes with every change that a verb makes."""
    versions = [model.objects.aggregate(n=Sum("version"))["n"] for model in (WorkOrder, Task, Department, Customer, Product, DispatchRule)]
    return (*versions, WorkEvent.objects.count(), WorkOrder.objects.count(), Notice.objects.filter(read_at=None).count())


def rows_of(model: type[Model], user: Any) -> tuple[Any, Any]:
    """(a row in sight or None, a row out of sight or None)."""
    every = model._default_manager.order_by("pk")
    if user is None:
        return None, every.first()
    if not isinstance(model._default_manager.get_queryset(), ScopedQuerySet):
        return every.first(), None
    seen = every.visible_to(user)
    return seen.first(), every.exclude(pk__in=seen.values("pk")).first()


class Crawl:
    """One persona, asking. Collects what is wrong instead of stopping at the first."""

    def __init__(self, shop: Any, name: str, canaries: Any) -> None:
        self.user = None if name == "anonymous" else again(shop.people[name])
        self.browser, self.api, self.canaries = client_of(self.user), api_of(self.user), canaries
        self.cookies = dict(self.browser.cookies)
        self.allowed = canaries.allowed(self.user)
        self.wrong: list[str] = []
        self.read: set[bytes] = set()

    def ask(self, method: str, address: str, **data: Any) -> int:
        """The status; words out of sight in the answer are noted. What a POST did is rolled back."""
        client: Client = self.api if address.startswith("/api/") else self.browser
        with transaction.atomic():
            ask = client.get if method == "GET" else client.post
            response = ask(address, data or None, **({"format": "json"} if client is self.api and method == "POST" else {}))
            text = body_of(response)
            if method == "POST":
                transaction.set_rollback(True)
        self.browser.cookies.update(self.cookies)
        self.read |= set(WORD.findall(text))
        leaks = self.canaries.leaks(text, self.allowed)
        if address.endswith("/why/") and self.user and self.user.has_perm("workorders.explain_workorder"):
            leaks = {one for one in leaks if not one.startswith("WorkOrder.number ")}
        if leaks:
            self.wrong.append(f"{method} {address} {response.status_code} tells {', '.join(sorted(leaks)[:6])}")
        return response.status_code

    def check(self, method: str, route: Route, address: str, **data: Any) -> int:
        status = self.ask(method, address, **data)
        allowed = expected_of(route.name)[method == "POST"]
        if self.user is None and not re.fullmatch(OPEN, route.name):
            allowed = {401} if address.startswith("/api/") else {302}
        elif self.user is None:
            allowed = allowed | {401}
        if status not in allowed:
            self.wrong.append(f"{method} {address} ({route.name}) answers {status}, expected {sorted(allowed)}")
        return status

    def foreign(self, method: str, route: Route, foreign: Any, version: Any) -> None:
        """What is out of sight answers exactly as what does not exist."""
        there = self.ask(method, route.address(foreign.pk, version))
        absent = self.ask(method, route.address(ABSENT))
        hidden = {302, 401} if self.user is None else {302} if route.name == "admin:redirect" else {403, 404, 405}
        if method == "POST" and route.name.startswith("api:"):
            hidden = hidden | {400}  # the shape of the body is looked at first
        if route.name.endswith("_why") and self.user and self.user.has_perm("workorders.explain_workorder"):
            return  # whose task it is to explain any row
        if there != absent or there not in hidden:
            self.wrong.append(f"{method} {route.address(foreign.pk)} ({route.name}) answers {there}, an absent row {absent}")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", PERSONAS)
def test_nothing_out_of_sight_is_told_anywhere(world, canaries, name, method):
    crawl = Crawl(world, name, canaries)
    before = fingerprint()
    for route in ROUTES:
        if not route.has_row:
            crawl.check(method, route, route.address())
            continue
        own, foreign = rows_of(route.model, crawl.user)
        histories = route.model.history if hasattr(route.model, "history") else None
        version = histories.filter(id=foreign.pk).values_list("history_id", flat=True).first() if histories and foreign else None
        if own is not None:
            own_version = histories.filter(id=own.pk).values_list("history_id", flat=True).first() if histories else None
            crawl.check(method, route, route.address(own.pk, own_version or ABSENT))
            if "simple_history" in route.name and version:
                # The history of a foreign row through the address of an own one.
                crawl.ask(method, route.address(own.pk, version))
        if foreign is not None:
            crawl.foreign(method, route, foreign, version or ABSENT)
    assert not crawl.wrong, "\n".join(crawl.wrong)
    assert bool(crawl.read) == (name != "anonymous")  # what one may see was there to be seen
    assert fingerprint() == before  # a GET changes nothing; what a POST did was rolled back


def test_a_leak_would_be_found(world, canaries, stranger):
    allowed = canaries.allowed(again(stranger))
    foreign = next(word for word, (model, *_rest) in canaries.where.items() if model is Customer and word not in allowed)
    own = next(iter(allowed))
    assert canaries.leaks(f"<b>{foreign}</b> {own}".encode(), allowed)
    assert canaries.leaks(own.encode(), allowed) == set()


@pytest.mark.once
@pytest.mark.parametrize("name", PERSONAS)
def test_no_search_filter_or_autocomplete_tells_more_than_the_list(world, canaries, name):
    """Every word begins alike, so one search asks for all of them at once."""
    crawl = Crawl(world, name, canaries)
    for route in ROUTES:
        short = route.name.split(":")[-1]
        if short.endswith("_changelist"):
            crawl.ask("GET", route.address(), q=PREFIX)
            crawl.ask("GET", route.address(), all="")
        elif route.name.startswith("api:") and short.endswith("-list"):
            for asked in ({"search": PREFIX}, {"page_size": 200, "count": 1}, {"ordering": "id"}):
                crawl.ask("GET", route.address(), **asked)
        elif short.endswith("_export"):
            for chosen in ("csv", "xlsx"):
                crawl.ask("GET", route.address(), format=chosen)
        elif short == "search":
            crawl.ask("GET", route.address(), s=PREFIX, extended="1")
    for model, its_admin in admin.site._registry.items():
        sources = [(model, field) for field in its_admin.autocomplete_fields]
        sources += [(inline.model, field) for inline in its_admin.inlines for field in inline.autocomplete_fields]
        for source, field in sources:
            asked = {"app_label": source._meta.app_label, "model_name": source._meta.model_name, "field_name": field, "term": PREFIX}
            status = crawl.ask("GET", "/admin/autocomplete/", **asked)
            assert status in ({302} if crawl.user is None else {200, 403})
    assert not crawl.wrong, "\n".join(crawl.wrong)


@pytest.mark.parametrize("name", PERSONAS)
def test_view_on_site_tells_no_row_from_an_absent_one(world, name):
    from django.contrib.contenttypes.models import ContentType

    user = None if name == "anonymous" else again(world.people[name])
    browser = client_of(user)
    for model in (WorkOrder, Task):
        kind = ContentType.objects.get_for_model(model).pk
        _own, foreign = rows_of(model, user)
        if foreign is None:
            continue
        there, absent = (browser.get(f"/admin/r/{kind}/{pk}/") for pk in (foreign.pk, ABSENT))
        assert there.status_code == absent.status_code
        assert there.headers.get("Location", "").replace(str(foreign.pk), "") == absent.headers.get("Location", "").replace(str(ABSENT), "")


# -- the floor


@pytest.fixture
def handheld(world, canaries):
    """(the handheld of printing, a client with its own token)."""
    device, token = devices.renew_token(Device.objects.get(department=world.departments["printing"]), by=world.people["superuser"])
    return device, _with(token)


def _with(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


OPEN_TO_HANDHELDS = {("get", "api:scan-resolve"), ("post", "api:badge"), ("get", "api:me")}
NO_TOKEN_ASKED = {"api:login", "api:unknown"}  # they answer whoever asks alike


def test_a_handheld_alone_may_only_resolve_badge_in_and_ask_who_it_is(handheld):
    """Every address of the API, every method, whatever else the address would answer."""
    _device, client = handheld
    asked = 0
    before = fingerprint()
    for route in ROUTES:
        if not route.name.startswith("api:") or route.name in NO_TOKEN_ASKED:
            continue
        row = route.model._default_manager.order_by("pk").first() if route.has_row else None
        for method in ("get", "post", "put", "patch", "delete"):
            if (method, route.name) in OPEN_TO_HANDHELDS:
                continue
            asked += 1
            answer = getattr(client, method)(route.address(row.pk if row else ABSENT))
            # An address that is open to handhelds has no other method, which is said first.
            shut = any(name == route.name for _method, name in OPEN_TO_HANDHELDS)
            expected = (405, "method_not_allowed") if shut else (403, "badge_needed")
            assert (answer.status_code, answer.json()["code"]) == expected, f"{method} {route.name}"
    assert asked > 250
    assert fingerprint() == before


def test_a_handheld_alone_sees_the_tasks_of_its_place_and_no_person(handheld, world, canaries):
    device, client = handheld
    place = Task.objects.filter(department=device.department).exclude(status="draft")
    assert place.exists()
    shown = {(type(one), one.pk) for task in place for one in [*pointed_to(task), task.order, device, device.department]}
    shown |= {
        (Process, pk) for pk in Process.objects.filter(steps__order__tasks__in=place).values_list("pk", flat=True)
    }  # what it waits for
    allowed = {word for word, (model, pk, name) in canaries.where.items() if (model, pk) in shown and name in NAMES[model]}
    allowed -= {word for word, (model, *_rest) in canaries.where.items() if model is User}
    codes = [
        encode(kind, pk)
        for model, kind in ((Task, Kind.TASK), (WorkOrder, Kind.ORDER))
        for pk in model.objects.values_list("pk", flat=True)
    ]
    codes += [encode(Kind.TASK, ABSENT), encode(Kind.BADGE, 1), encode(Kind.COMMAND, 1)]
    met = set()
    for code in codes:
        answer = client.get("/api/scans/resolve/", {"code": code})
        assert answer.status_code in (200, 404), answer.content
        assert canaries.leaks(body_of(answer), allowed) == set(), code
        if decode(code).kind == Kind.TASK:
            assert (answer.status_code == 200) == place.filter(pk=decode(code).number).exists(), code
        met |= set(WORD.findall(body_of(answer)))
    assert met
    assert canaries.leaks(body_of(client.get("/api/auth/me/")), allowed) == set()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_person_on_a_handheld_is_told_what_he_is_told_anywhere(world, canaries, handheld, method):
    device, _client = handheld
    badge = Badge.objects.get(user=world.people["operator"])
    pin = devices.new_pin(badge, by=world.people["superuser"])
    _session, token = devices.badge_in(device, devices.code_of(badge), pin)
    crawl = Crawl(world, "operator", canaries)
    crawl.api = _with(token)
    for route in ROUTES:
        if not route.name.startswith("api:"):
            continue
        if not route.has_row:
            crawl.check(method, route, route.address())
            continue
        own, foreign = rows_of(route.model, crawl.user)
        if own is not None:
            crawl.check(method, route, route.address(own.pk))
        if foreign is not None:
            crawl.foreign(method, route, foreign, ABSENT)
    assert not crawl.wrong, "\n".join(crawl.wrong)
    assert crawl.read


@pytest.mark.once
@pytest.mark.parametrize("name", PERSONAS)
def test_no_code_tells_more_than_the_lists(world, canaries, name):
    """Resolve and `/s/`: a code of a row out of sight answers as one of a row that is not there, and so does a customer's own."""
    crawl = Crawl(world, name, canaries)
    for model, kind in ((Task, Kind.TASK), (WorkOrder, Kind.ORDER)):
        for pk in model.objects.values_list("pk", flat=True):
            statuses = [crawl.ask("GET", path, **asked) for path, asked in _asks(encode(kind, pk))]
            absent = [crawl.ask("GET", path, **asked) for path, asked in _asks(encode(kind, ABSENT))]
            if crawl.user is None or not model.objects.visible_to(crawl.user).filter(pk=pk).exists():
                seen = kind == Kind.ORDER and crawl.user and Task.objects.visible_to(crawl.user).filter(order=pk).exists()
                assert statuses[1:] == absent[1:] if seen else statuses == absent, (kind, pk)
    for code in LinkedCode.objects.values_list("code", flat=True):
        crawl.allowed = canaries.allowed(crawl.user) | {code}  # the answer repeats what was asked
        crawl.ask("GET", "/api/scans/resolve/", code=code)
    assert not crawl.wrong, "\n".join(crawl.wrong)


def _asks(code: str) -> list[tuple[str, dict[str, str]]]:
    return [("/api/scans/resolve/", {"code": code}), (f"/s/{code}", {})]
