"""What the packages do by default and Docket must not (measured as M1 to M12): a test for each, at the door where it was found.

Tested where the thing itself is tested:
M1  export without permission, hidden columns   core/test_export.py: test_who_may_not_export_gets_nothing
M3  somebody else's upload; uploads kept         imports/test_admin.py: test_another_persons_run_is_absent;
                                                 imports/test_services.py: test_plans_that_nobody_applied_are_thrown_away_after_a_day
M4  history of a row out of sight                core/test_admin.py: test_the_history_of_a_row_out_of_sight_reads_as_absent
M6  a foreign key that no choice offers          security/test_bad_input.py: test_no_field_takes_a_row_out_of_sight
M7  a filter that no list declares               core/test_admin.py: test_only_declared_filters_answer
M8  list_editable and bulk actions past a rule   core/test_admin.py: test_a_list_cannot_be_edited_in_place;
                                                 workorders/test_admin.py: test_tasks_are_assigned_in_bulk_and_refusals_are_named
M9  actions that run on GET                      security/test_bad_input.py: test_no_address_changes_anything_on_get
Here: M2, M5, M10, M11, M12, and what of M1 and M8 holds for every list at once.
"""

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django_q.models import Failure
from guardian.models import GroupObjectPermission, UserObjectPermission

from apps.accounts.models import User
from apps.catalog.models import Customer, Product
from apps.core.changes import history_of
from apps.imports.models import ImportRow, ImportRun
from apps.workorders import services as do
from tests.personas import again, client_of
from tests.security.doors import checksum

LISTS = sorted(f"{model._meta.app_label}/{model._meta.model_name}" for model in admin.site._registry)


def test_m1_no_list_leaves_by_any_address_for_a_person_without_roles(shop, nobody):
    client = client_of(nobody)
    for page in LISTS:
        for tail in ("", "export/", "export/?format=csv", "import/", "process_import/", "add/"):
            answer = client.get(f"/admin/{page}/{tail}", follow=True)
            assert answer.status_code == 403, f"{page}/{tail}"


def test_m2_an_id_in_a_file_neither_reads_nor_writes_the_row_behind_it(shop, supervisor, planner):
    """`id` and every other column that is no column of ours is left unread: the plan tells none of the row's values."""
    hidden = Product.objects.create(code="HIDDEN", name="Hidden product", specification="Secret paper")
    clients = [(user, client_of(user)) for user in (supervisor, planner)]
    before = checksum(but=[ImportRun, ImportRow])
    text = f"id,pk,Code,Name,Unit\n{hidden.pk},{hidden.pk},NEW-1,Overwritten,piece\n"
    for user, client in clients:
        page = client.post(
            reverse("admin:imports_upload") + "?resource=products", {"file": SimpleUploadedFile("p.csv", text.encode())}, follow=True
        )
        assert page.status_code == 200
        assert "Secret paper" not in page.content.decode()
        assert "Hidden product" not in page.content.decode()
        assert [entry["action"] for run in ImportRun.objects.filter(owner=user) for entry in run.plan] in ([], ["create"])
    assert checksum(but=[ImportRun, ImportRow]) == before


def test_m5_nobody_gives_himself_rights_by_an_address(shop, everybody, pending_task):
    rows = (f"workorders/task/{pending_task.pk}", f"workorders/workorder/{pending_task.order_id}", f"catalog/customer/{shop.customer.pk}")
    clients = {user: client_of(user) for user in everybody.values()}
    before = checksum()
    for user, client in clients.items():
        data = {"user": user.username, "permissions": ["delete_task", "change_task"], "submit_user_perm": "1"}
        for row in rows:
            app, model, _pk = row.split("/")
            absent = 404 if again(user).has_perm(f"{app}.view_{model}") else 403  # who has no list of them is told so first
            for tail in ("permissions/", f"permissions/user-manage/{user.pk}/", "permissions/group-manage/1/"):
                assert client.get(f"/admin/{row}/{tail}", follow=True).status_code == absent, f"{user} {row}/{tail}"
                assert client.post(f"/admin/{row}/{tail}", data, follow=True).status_code == absent, f"{user} {row}/{tail}"
    assert checksum() == before
    assert not UserObjectPermission.objects.exists()
    assert not GroupObjectPermission.objects.exists()


def test_m10_no_page_queues_schedules_or_repeats_a_job(everybody):
    failure = Failure.objects.create(id="f" * 32, name="broken", func="os.system", started="2026-11-01T00:00Z", stopped="2026-11-01T00:00Z")
    schedule = {"func": "os.system", "args": "'true'", "schedule_type": "O", "repeats": 1, "name": "x"}
    clients = [client_of(user) for user in everybody.values()]
    before = checksum()
    for client in clients:
        for model in ("schedule", "failure", "success", "ormq", "task"):
            for tail in ("", "add/", f"{failure.pk}/change/"):
                assert client.get(f"/admin/django_q/{model}/{tail}").status_code == 404
                answer = client.post(
                    f"/admin/django_q/{model}/{tail}", schedule | {"action": "retry_failed", "_selected_action": failure.pk}
                )
                assert answer.status_code == 404
    assert checksum() == before


@pytest.mark.parametrize("thing", ["order", "task"])
def test_m11_a_share_ends_with_its_row(shop, supervisor, stranger, maker, thing):
    """Whatever ends the row: a database that deletes by cascade leaves no grant for the next row with this key."""
    order = shop.draft()
    shared = order if thing == "order" else shop.task(order, "PRT")
    model, pk = type(shared), shared.pk
    do.share(shared, by=supervisor, user=stranger)
    assert model.objects.visible_to(again(stranger)).filter(pk=pk).exists()
    do.delete_order(order, by=maker)
    grants = [one for one in apps.get_models() if hasattr(one, "permission") and hasattr(one, "content_object")]
    assert [one._meta.label for one in grants if one.objects.exists()] == []


def test_m12_every_tracked_row_is_what_its_last_history_row_says(shop, supervisor, operator, planner):
    """`update()` writes no history, so it would be seen here: the whole story first, then every row against its history."""
    shop.finish_all(shop.approved("leaflet", "carton"))
    task = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    do.report(task, by=operator, good=10)
    do.undo_last(task, by=operator)
    do.split_task(task, by=supervisor, quantities=[200])
    do.cancel_order(shop.approved(), by=supervisor, reason="The customer went away.")
    do.reopen_order(shop.finish_all(shop.approved()), by=supervisor, reason="Some are missing.")
    do.copy_order(task.order, by=shop.people["maker"])
    client_of(planner).post(f"/admin/catalog/customer/{shop.customer.pk}/deactivate/")
    compared, wrong = 0, []
    for model in apps.get_models():
        history = history_of(model)
        if history is None:
            continue
        fields = [field.attname for field in history.model.tracked_fields]
        for row in model._base_manager.values("pk", *fields):
            last = history.filter(**{model._meta.pk.attname: row["pk"]}).order_by("-history_id").values(*fields).first()
            if last is None:
                continue  # made by the shop of the tests at one stroke
            compared += 1
            wrong += [f"{model._meta.label} {row['pk']}: {name}" for name in fields if row[name] != last[name]]
    assert wrong == []
    assert compared > 40


def test_m12_a_delete_page_names_no_row_out_of_sight(shop, superuser, administrator):
    """What hangs on a row is counted, also for who may delete it."""
    user = User.objects.create(username="leaver", password="!")
    Customer.objects.create(code="ZZ", name="Hidden customer", salesperson=user)
    for reader in (superuser, administrator):
        page = client_of(reader).get(f"/admin/accounts/user/{user.pk}/delete/")
        assert page.status_code == 200
        assert "Hidden customer" not in page.content.decode()
