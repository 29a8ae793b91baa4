"""Incidents as folders: what is read, what is refused, what is drawn, and how the verdict falls."""

import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from made_hunt import transaction, workload

from replay.errors import InputError
from replay.finding import Culprit, Finding
from replay.gallery import health, play
from replay.gallery.draw import draw
from replay.gallery.incident import Expectation, Request, Step, Traffic, Value
from replay.gallery.read import find, gallery, numbered, read
from replay.gallery.schedule import arrivals
from replay.sql.fingerprint import fingerprint
from replay.workload import duration_bucket

SMALL = """
title = "T"
source = "S"
[traffic]
seconds = 5
[values]
account = { low = 1, high = 9 }
[[request]]
name = "read_account"
rate = 10
sql = "SELECT * FROM acct WHERE id = %(account)s"
[replay]
boost = { read_account = 5 }
[expect]
rule = 7
templates = ["read_account"]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "incident.toml").write_text(SMALL)
    return tmp_path


def changed(folder: Path, old: str, new: str) -> Path:
    file = folder / "incident.toml"
    file.write_text(file.read_text().replace(old, new))
    return folder


def test_the_gallery_holds_the_published_eleven():
    found = {incident.name: incident.expects.rule for incident in gallery()}
    assert Counter(found.values()) == Counter([19, 5, 4, 1, 2, 7, 9, 8, 10, 17, 18])


@pytest.mark.parametrize("incident", gallery(), ids=lambda incident: incident.name)
def test_every_incident_is_whole(incident):
    assert incident.title
    assert incident.source
    assert incident.story
    assert incident.script("schema.sql")
    assert incident.expects.templates
    mended = incident.fixed_traffic or incident.script("fix.sql")
    assert mended or incident.migration(fixed=True) != incident.migration(fixed=False)


def test_names_stand_for_the_templates_that_capture_will_find(folder):
    expected = fingerprint("SELECT * FROM acct WHERE id = $1").id
    assert read(folder).expects == Expectation(rule=7, templates=(expected,))


def test_an_incident_of_ones_own_is_found_by_its_folder(folder):
    assert find(str(folder)).folder == folder
    assert find("heroku").title
    with pytest.raises(InputError, match="--list"):
        find("no such thing")


def test_a_value_that_stands_twice_is_one_parameter():
    assert numbered("a = %(x)s AND b = %(y)s OR c = %(x)s") == "a = $1 AND b = $2 OR c = $1"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('title = "T"', "", "lacks 'title'"),
        ("rate = 10", "rat = 10", "rat, which nobody reads"),
        ("high = 9", "hi = 9", "hi, which nobody reads"),
        ('templates = ["read_account"]', 'templates = ["reed"]', "is called 'reed'"),
        ("read_account = 5", "reed = 5", "is called 'reed'"),
        ("seconds = 5", 'seconds = "long"', "seconds"),
        ("boost =", "luck = 7\nboost =", "luck, which nobody reads"),
        ("rule = 7", 'rule = "seven"', "int"),
        ("rule = 7", "rule = 7\nrules = 8", "rules, which nobody reads"),
        ("[traffic]", "[traffic", "incident.toml"),
    ],
)
def test_what_is_wrong_is_named(folder, old, new, told):
    with pytest.raises(InputError, match=told):
        read(changed(folder, old, new))


def test_a_folder_without_tables_is_not_played(folder, tmp_path):
    with pytest.raises(InputError, match=r"no schema\.sql"):
        play.play(read(folder), tmp_path / "out", say=print)


def test_a_mended_request_takes_the_place_of_its_namesake(folder):
    fix = '[[fix.request]]\nname = "read_account"\nrate = 1\nsql = "SELECT 1"\n'
    incident = read(changed(folder, "[replay]", f"{fix}[replay]"))
    assert [r.steps[0].sql for r in incident.fixed_traffic.requests] == ["SELECT 1"]
    assert len(incident.traffic.requests) == 1


def test_the_release_goes_by_the_name_of_migration(folder):
    (folder / "migration.sql").write_text("ALTER TABLE a ADD b int;\n")
    changed(folder, '["read_account"]', '["migration"]')
    alter, fill = (fingerprint(sql).id for sql in ("ALTER TABLE a ADD b int", "UPDATE a SET b = 1"))
    assert read(folder).expects == Expectation(rule=7, templates=(alter,))
    (folder / "migration.sql").write_text(
        "BEGIN;\nALTER TABLE a ADD b int;\nUPDATE a SET b = 1;\nCOMMIT;\n"
    )
    expects = read(folder).expects
    assert expects == Expectation(rule=7, templates=(), one_of=(alter, fill))
    assert play.judge((finding(7, alter),), expects) == play.NAMED
    assert play.judge((finding(7, "other"),), expects) == play.WRONGLY


def test_values_are_drawn_by_seed_and_within_bounds():
    values = {
        "hot": Value(low=1, high=100, skew=5),
        "even": Value(low=1, high=100),
        "many": Value(low=1, high=20, length=5, sorted=True),
        "token": Value(low=1, high=9, text="t-{}", md5=True),
        "state": Value(choice=("open", "done")),
    }
    drawn = [draw(values, random.Random(seed)) for seed in range(400)]
    assert drawn[7] == draw(values, random.Random(7))
    assert all(1 <= one["hot"] <= 100 for one in drawn)
    assert sum(one["hot"] for one in drawn) < sum(one["even"] for one in drawn) / 2
    assert all(one["many"] == sorted(set(one["many"])) for one in drawn)
    assert all(len(one["many"]) == 5 for one in drawn)
    assert all(one["token"].startswith("t-") and len(one["token"]) == 34 for one in drawn)
    assert {one["state"] for one in drawn} == {"open", "done"}


def test_arrivals_come_at_their_rate_and_rare_ones_evenly():
    steps = (Step(sql="SELECT 1"),)
    traffic = Traffic(
        seconds=50,
        requests=(
            Request(name="often", rate=100, steps=steps),
            Request(name="rare", calls=5, steps=steps),
        ),
    )
    found = arrivals(traffic, random.Random(1))
    assert [due for due, request in found if request.name == "rare"] == [5, 15, 25, 35, 45]
    assert 4500 < sum(request.name == "often" for _, request in found) < 5500
    assert found == sorted(found, key=lambda arrival: arrival[0])


def finding(rule: int, *templates: str) -> Finding:
    culprits = tuple(Culprit(id=name, sql="", share=0.0) for name in templates)
    return Finding(rule=rule, name="n", summary="s", templates=culprits)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ((), play.MISSED),
        ((finding(0),), play.MISSED),
        ((finding(5, "a"),), play.NAMED),
        ((finding(0), finding(5, "a", "b")), play.NAMED),
        ((finding(5, "b"),), play.WRONGLY),
        ((finding(7, "a"),), play.WRONGLY),
        ((finding(7, "a"), finding(5, "a")), play.WRONGLY),
    ],
)
def test_the_first_finding_decides(found, verdict):
    assert play.judge(found, Expectation(rule=5, templates=("a",))) == verdict


def test_a_copy_of_a_published_incident_can_be_made_ones_own(tmp_path):
    copy = tmp_path / "ours"
    shutil.copytree(find("heroku").folder, copy)
    assert find(str(copy)).expects == find("heroku").expects


def test_production_s_health_is_read_off_its_log_where_its_clients_say_nothing():
    one = workload(
        transaction(1, "SELECT 1", weight=95.0), transaction(2, "SELECT now()", weight=5.0)
    )
    histograms = (((duration_bucket(1000), 95),), ((duration_bucket(900_000), 5),))
    templates = [replace(t, histogram=h) for t, h in zip(one.templates, histograms, strict=True)]
    told = health.of_log(replace(one, templates=templates))
    assert told["requests"] == 100
    assert 1.0 <= told["p95_ms"] <= 1.2
    assert health.is_healthy(told)


@pytest.mark.parametrize(
    ("p95_ms", "failed", "healthy"), [(249.0, 1, True), (251.0, 0, False), (1.0, 2, False)]
)
def test_a_slow_or_failing_production_is_not_healthy(p95_ms, failed, healthy):
    assert health.is_healthy({"requests": 100, "failed": failed, "p95_ms": p95_ms}) is healthy
