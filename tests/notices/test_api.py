from apps.notices.services import notify
from tests.personas import api_of

NOTICES = "/api/notifications/"


def test_one_sees_and_reads_ones_own_notices_only(operator, stranger):
    notify([operator, stranger], "task_assigned", number="T1", order="202611-0001", url="/admin/")
    client = api_of(operator)
    rows = client.get(NOTICES).json()["results"]
    assert [row["text"] for row in rows] == ["Task T1 of order 202611-0001 is yours."]
    assert not rows[0]["is_read"]
    theirs = api_of(stranger).get(NOTICES).json()["results"][0]["id"]
    assert client.get(f"{NOTICES}{theirs}/").status_code == 404
    assert client.post(f"{NOTICES}{theirs}/read/").status_code == 404
    assert client.post(f"{NOTICES}{rows[0]['id']}/read/").json()["is_read"]
    assert client.get(f"{NOTICES}?unread=true").json()["results"] == []
    assert len(client.get(f"{NOTICES}?unread=false&kind=task_assigned").json()["results"]) == 1
    assert len(api_of(stranger).get(f"{NOTICES}?unread=true").json()["results"]) == 1


def test_reading_all_says_how_many(operator, stranger):
    for number in range(3):
        notify([operator, stranger], "task_assigned", number=f"T{number}", order="1")
    assert api_of(operator).post(f"{NOTICES}read_all/").json() == {"read": 3}
    assert api_of(operator).post(f"{NOTICES}read_all/").json() == {"read": 0}
    assert len(api_of(stranger).get(f"{NOTICES}?unread=1").json()["results"]) == 3


def test_reading_twice_keeps_the_first_time(operator):
    notify([operator], "task_assigned", number="T1", order="1")
    client = api_of(operator)
    pk = client.get(NOTICES).json()["results"][0]["id"]
    first = client.post(f"{NOTICES}{pk}/read/").json()["read_at"]
    assert client.post(f"{NOTICES}{pk}/read/").json()["read_at"] == first
