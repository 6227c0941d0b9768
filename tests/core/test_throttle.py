"""Limits on tries hold for every process together."""

import threading
import time

import pytest
from django.db import DatabaseError, connection

from apps.core.errors import TooManyTries
from apps.core.models import Bucket
from apps.core.throttle import forget, take


@pytest.mark.django_db
def test_a_burst_is_allowed_and_the_next_try_is_told_how_long_to_wait():
    for _ in range(3):
        take("sign-in", burst=3, per_minute=6)
    with pytest.raises(TooManyTries) as refused:
        take("sign-in", burst=3, per_minute=6)
    assert (refused.value.wait, refused.value.code) == (10, "throttled")
    assert str(refused.value) == "Too many tries. Wait 10 seconds and try again."


@pytest.mark.django_db
def test_a_bucket_refills_with_time_up_to_its_burst():
    for _ in range(3):
        take("sign-in", burst=3, per_minute=6)
    Bucket.objects.update(updated_at=time.time() - 10.5)
    take("sign-in", burst=3, per_minute=6)
    with pytest.raises(TooManyTries):
        take("sign-in", burst=3, per_minute=6)
    Bucket.objects.update(updated_at=time.time() - 3600)
    take("sign-in", burst=3, per_minute=6)
    assert Bucket.objects.get().tokens == pytest.approx(2, abs=0.01)


@pytest.mark.django_db
def test_limits_are_apart_and_a_right_password_fills_one_again():
    take("ann", burst=1, per_minute=1)
    take("bob", burst=1, per_minute=1)
    forget("ann")
    take("ann", burst=1, per_minute=1)
    with pytest.raises(TooManyTries):
        take("bob", burst=1, per_minute=1)


@pytest.mark.django_db
def test_a_try_costs_one_query_after_the_first(django_assert_num_queries):
    take("sign-in", burst=9, per_minute=6)
    with django_assert_num_queries(3):  # and the two of its savepoint
        take("sign-in", burst=9, per_minute=6)


def at_once(number, do):
    """Run `do` in so many threads that begin together; wait for all."""
    start = threading.Barrier(number)

    def run():
        try:
            start.wait()
            do()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_get_no_more_than_the_burst():
    passed = []

    def guess():
        for _ in range(5):
            try:
                take("sign-in", burst=10, per_minute=0.001)
            except TooManyTries:
                continue
            passed.append(1)

    at_once(8, guess)
    assert len(passed) == 10


@pytest.mark.django_db(transaction=True)
def test_a_bucket_that_is_made_and_filled_again_at_once_by_many_breaks_nobody():
    wrong = []

    def sign_in():
        try:
            for _ in range(25):
                take("sign-in", burst=100, per_minute=6)
                forget("sign-in")
        except TooManyTries:
            pass  # somebody else's right password took the bucket away between two of its steps
        except DatabaseError as error:
            wrong.append(error)

    at_once(8, sign_in)
    assert wrong == []
