"""Every change knows who made it, through which door, and in which request."""

import pytest
from django.db import connection

from apps.core.context import Signature, acting, signature, signed
from apps.core.models import Bucket


def test_outside_of_every_door_it_is_a_command_of_nobody():
    assert signature() == Signature(source="command")


def test_a_door_signs_what_is_inside_and_nothing_else():
    with signed(source="api", request_id="abc") as outer:
        assert signature() is outer
        with signed(reason="late") as inner:
            assert (inner.source, inner.request_id, inner.reason) == ("api", "abc", "late")
        assert signature() is outer
    assert signature() == Signature()


def test_a_door_without_a_request_makes_an_id_that_lasts():
    with signed(source="job") as outer:
        assert len(outer.request_id) == 32
        with signed(reason="x") as inner:
            assert inner.request_id == outer.request_id


def test_an_error_leaves_no_signature_behind():
    with pytest.raises(ZeroDivisionError), signed(source="api"):
        raise ZeroDivisionError
    assert signature() == Signature()


@pytest.mark.django_db
def test_a_verb_is_a_transaction_signed_by_its_actor():
    with signed(source="admin", reason="from the dialog"):
        with acting("ann") as value:
            assert connection.in_atomic_block
            assert (value.actor, value.source, value.reason) == ("ann", "admin", "from the dialog")
        with acting("bob", reason="own words") as value:
            assert (value.actor, value.reason) == ("bob", "own words")


@pytest.mark.django_db(transaction=True)
def test_a_verb_that_fails_leaves_nothing():
    def verb():
        with acting(None):
            Bucket.objects.create(key="k", tokens=1, updated_at=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        verb()
    assert not Bucket.objects.exists()
