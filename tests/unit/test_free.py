"""Which of a pool's sessions a request gets: its client's own, one that is nobody's, one that has done its share."""

import random
from types import SimpleNamespace

import pytest

from replay.load.free import ByClient, OfClient
from replay.load.numbering import Sharing
from replay.load.planned import PlannedTransaction
from replay.load.shard import Arrival, Line


def pool(count, per_client):
    free = ByClient()
    for number in range(count):
        free.add(OfClient(number, None, SimpleNamespace(), per_client))
    return free


def ask(free, client):
    """One request, from the arrival to the answer; the place that it went over, and whether that was opened."""
    took = take(free, client)
    free.add(took[0])
    return took


def take(free, client):
    """As httpsession does with what it is given."""
    took = free.take(Arrival(0, 0, (Line(0, values=(b"GET", client, None)),)))
    is_new = not took.is_open
    if took.client != client and took.may_be_anothers():
        took.client, took.asked, is_new = client, 0, True
    took.asked += 1
    took.is_open = True
    return took, is_new


def test_a_client_keeps_its_own_connection_and_one_of_many_gives_up_the_idlest():
    free = pool(3, 1)
    first = {client: ask(free, client)[0].slot for client in (b"a", b"b", b"c")}
    assert len(set(first.values())) == 3
    assert all(ask(free, client) == (ask(free, client)[0], False) for client in (b"c", b"a", b"b"))
    assert {client: ask(free, client)[0].slot for client in first} == first
    taken, is_new = ask(free, b"d")
    assert (taken.slot, is_new) == (first[b"a"], True)  # asked longest ago
    assert ask(free, b"a")[1]


def test_what_runs_beside_a_clients_other_request_has_another_connection():
    free = pool(2, 5)
    one, _ = take(free, b"a")
    two, is_new = take(free, b"a")
    assert (one is not two, is_new, two.client, len(free)) == (True, True, b"a", 0)
    free.add(one)
    free.add(two)
    assert take(free, b"a") == (two, False)  # the one that was used last


def test_a_connection_that_was_closed_is_nobodys():
    free = pool(2, 10)
    one, two = (ask(free, client)[0] for client in (b"a", b"b"))
    free.remove(one)  # broken
    one.is_open = False
    free.add(one)
    assert ask(free, b"c") == (one, True)
    assert ask(free, b"b") == (two, False)


@pytest.mark.parametrize(("per_client", "opened"), [(1, 0.98), (10, 0.1), (50, 0.02)])
def test_a_thin_sample_of_many_sessions_connects_no_oftener_than_production_did(per_client, opened):
    """Each request is another session's, nearly; production's sessions had so many each."""
    rng, free = random.Random(3), pool(100, per_client)
    count = 20_000
    made = sum(ask(free, b"%d" % rng.randrange(5000))[1] for _ in range(count))
    assert made / count == pytest.approx(opened, rel=0.1, abs=100 / count)


def test_a_client_is_one_workers_unless_it_has_nearly_all():
    def shared(clients):
        sharing = Sharing(3)
        found = [
            sharing.worker(PlannedTransaction(due_us=n, statements=(), client=client), n)
            for n, client in enumerate(clients)
        ]
        return list(zip(clients, found, strict=True))

    rng = random.Random(5)
    many = shared([f"c{rng.randrange(400)}" for _ in range(6000)])
    assert len(set(many)) == 400
    assert {1900 < sum(w == n for _, w in many) < 2100 for n in range(3)} == {True}
    one = shared(["proxy"] * 3000)
    assert min(sum(w == n for _, w in one) for n in range(3)) > 700
