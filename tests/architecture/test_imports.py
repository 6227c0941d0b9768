from tests.architecture.source import APPS, SURFACES, sources


def test_every_app_has_its_place_in_the_line():
    assert {source.app for source in sources("apps")} - {""} == set(APPS)


def test_an_app_imports_only_from_its_left():
    wrong = []
    for source in sources("apps"):
        for line, name in source.imports():
            root, _dot, rest = name.partition(".")
            other = rest.partition(".")[0]
            if root == "project" or (root == "apps" and source.app and APPS.index(other) > APPS.index(source.app)):
                wrong.append(f"{source}:{line} imports {name}")
            if root == "tests":
                wrong.append(f"{source}:{line} imports {name}")
    assert wrong == []


def test_surfaces_are_leaves():
    """Only the same surface of the same app, the addresses, the app's start and a registry import a surface.

    core's admin and api are the base classes that every surface stands on.
    """
    doors = {"urls", "apps", "registry"}
    wrong = []
    for source in sources("apps"):
        if source.parts[-1] in doors:
            continue
        for line, name in source.imports():
            parts = name.split(".")
            if parts[0] != "apps" or len(parts) < 3 or parts[2] not in SURFACES or parts[1] == "core":
                continue
            if (parts[1], parts[2]) != (source.app, source.surface):
                wrong.append(f"{source}:{line} imports {name}")
    assert wrong == []


def test_services_and_policies_know_no_http():
    http = ("rest_framework", "django.http", "django.shortcuts", "django.contrib.messages", "django.contrib.admin", "unfold")
    rules = {"services", "policy", "transitions", "generation", "readiness", "numbering", "moves", "models", "querysets", "states"}
    wrong = [
        f"{source}:{line} imports {name}"
        for source in sources("apps")
        if len(source.parts) > 2 and source.parts[2] in rules
        for line, name in source.imports()
        if name.startswith(http)
    ]
    assert wrong == []


def test_the_policy_of_dispatch_is_pure():
    """Who should do a task is chosen from what is passed in: the policy imports no model and no database."""
    policy = [source for source in sources("apps") if source.parts == ("apps", "dispatch", "policy")]
    assert len(policy) == 1
    wrong = [
        name
        for _line, name in policy[0].imports()
        if name.startswith(("django.db", "apps.workorders", "apps.accounts", "apps.catalog")) or name.endswith("DispatchRule")
    ]
    assert wrong == []


def test_only_the_one_door_talks_to_the_queue():
    allowed = {"apps/core/jobs.py"}
    wrong = [
        f"{source}:{line} imports {name}"
        for source in sources("apps")
        if str(source) not in allowed
        for line, name in source.imports()
        if name.startswith("django_q") and name.rsplit(".", 1)[-1] in {"async_task", "async_chain", "async_iter", "AsyncTask", "schedule"}
    ]
    assert wrong == []


def test_nobody_defines_signals_of_our_own():
    wrong = [
        f"{source}:{line} imports {name}"
        for source in sources("apps")
        for line, name in source.imports()
        if name in {"django.dispatch.Signal", "django.dispatch.receiver"} or name.startswith("django.db.models.signals.")
    ]
    # Django's own event after a migration is the place where roles are synced.
    assert [one for one in wrong if not one.endswith("post_migrate")] == []
