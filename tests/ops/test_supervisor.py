"""When a cluster counts as dead. Pure: the clock is a number."""

import pytest

from apps.ops.supervisor import Vigil

JOB = {(7, "job 1")}


@pytest.fixture
def vigil() -> Vigil:
    return Vigil(stale_after=60, job_limit=130, alive_at=100)


def test_a_cluster_is_given_its_time_from_the_start(vigil):
    assert not vigil.is_stale(160)
    assert vigil.is_stale(160.1)


def test_a_row_that_goes_is_a_sign_of_life(vigil):
    vigil.delivered(150)
    assert not vigil.is_stale(210)
    assert vigil.is_stale(211)


def test_a_long_job_excuses_silence_but_not_for_longer_than_a_job_may_run(vigil):
    for second in range(110, 400, 2):
        vigil.saw_jobs(JOB, second)
        assert vigil.is_stale(second) is (second > 110 + 130 + 60)


def test_short_jobs_one_after_the_other_do_not_excuse_that_no_row_goes(vigil):
    for second in range(100, 162, 2):
        vigil.saw_jobs({(7, f"job {second}")}, second)
    assert vigil.is_stale(162)


def test_a_job_that_ended_is_forgotten(vigil):
    vigil.saw_jobs(JOB, 110)
    vigil.saw_jobs(set(), 112)
    assert vigil.jobs == {}
    vigil.saw_jobs(JOB, 125)
    assert vigil.alive_at == 100
