"""Key domains: places of production's keys, hot ones apart, order kept, the same every time."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_tables import column, table

from data_gen.keys import key_domains
from data_gen.profile import SchemaProfile


def shop(base_type="int8", *, hot=("40", "41", "900"), bounds=("1", "1000", "20000")):
    parents = table(
        "parents",
        5000,
        column("id", base_type, histogram=bounds, correlation=1.0, not_null=True),
        keys=[("id",)],
    )
    children = table(
        "children",
        90_000,
        column("id", histogram=("1", "90000")),
        column(
            "parent",
            base_type,
            common_values=hot,
            common_fractions=(0.3, 0.2, 0.1)[: len(hot)],
            n_distinct=2000,
        ),
        keys=[("id",)],
        foreign=[("parent", "parents", "id")],
    )
    return SchemaProfile(server_version=180000, tables=(parents, children))


def test_foreign_keys_share_their_parents_domain():
    domains = key_domains(shop(), 1.0, 0)
    assert domains["public.parents", "id"] is domains["public.children", "parent"]
    assert domains["public.children", "parent"].name == "public.parents.id"
    assert domains["public.children", "id"].size == 90_000


def test_a_key_of_a_key_leads_to_the_first():
    middle = table("middle", 10, column("id"), keys=[("id",)], foreign=[("id", "parents", "id")])
    last = table("last", 10, column("m"), foreign=[("m", "middle", "id")])
    profile = shop()
    profile = dataclasses.replace(profile, tables=(*profile.tables, middle, last))
    assert key_domains(profile, 1.0, 0)["public.last", "m"].table == "public.parents"


def test_keys_in_a_circle_have_one_domain():
    a = table("a", 10, column("id"), keys=[("id",)], foreign=[("id", "b", "id")])
    b = table("b", 10, column("id"), keys=[("id",)], foreign=[("id", "a", "id")])
    domains = key_domains(SchemaProfile(server_version=180000, tables=(a, b)), 1.0, 0)
    assert domains["public.a", "id"] is domains["public.b", "id"]


@pytest.mark.parametrize("scale", [1.0, 0.1, 0.002])
def test_places_are_in_range_ascend_with_the_key_and_leave_hot_keys_apart(scale):
    domain = key_domains(shop(), scale, 0)["public.parents", "id"]
    places = [domain.near(str(number)) for number in range(-5, 30_000, 7)]
    assert places == sorted(places)
    assert 0 <= min(places) <= max(places) < domain.size
    assert len({domain.place(token) for token in ("40", "41", "900")}) == 3


def test_every_generated_key_is_placed_where_it_stands():
    domain = key_domains(shop(), 1.0, 0)["public.parents", "id"]
    keys = [domain.at(position) for position in range(domain.size)]
    assert len(set(keys)) == domain.size
    assert [domain.near(key) for key in keys] == list(range(domain.size))


@given(st.lists(st.uuids().map(str), min_size=3, max_size=3, unique=True), st.integers(0, 5))
def test_hot_uuids_are_themselves_and_places_do_not_change(hot, seed):
    profile = shop("uuid", hot=tuple(hot), bounds=())
    domain = key_domains(profile, 0.01, seed)["public.parents", "id"]
    again = key_domains(profile, 0.01, seed)["public.parents", "id"]
    for token in (*hot, "8a8cbb2e-6d4f-4ab9-8c4f-6f8bba1d1b54"):
        assert domain.place(token) == again.place(token)
        assert 0 <= domain.place(token) < domain.size
    assert [domain.at(domain.place(token)) for token in hot] == hot
    assert len({domain.at(position) for position in range(domain.size)}) == domain.size


def test_natural_keys_that_statistics_name_exist():
    plans = ("business", "developer", "free")
    profile = shop("text", hot=plans[:1], bounds=plans)
    domain = key_domains(profile, 3 / 5000, 0)["public.parents", "id"]
    assert sorted(domain.at(position) for position in range(domain.size)) == sorted(plans)


def test_keys_too_large_for_their_type_stay_inside_it():
    profile = shop("int4", hot=("2900000000",), bounds=("1", "1400000000", "3000000000"))
    domain = key_domains(profile, 1.0, 0)["public.parents", "id"]
    keys = domain.rungs.points(np.arange(domain.size))
    assert keys.max() <= 2**31 - 1
    assert (np.diff(keys) > 0).all()
