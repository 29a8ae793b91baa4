"""Each rule on a run made by hand: it fires on its own case and stays silent on the others'."""

import json
from dataclasses import fields, replace

import msgspec
import pytest
from made_evidence import (
    BUMP,
    COMMIT,
    NAP,
    READ,
    SCAN,
    SCANNING,
    WRITE_SCAN,
    Run,
    indexed,
)

from replay import ondisk
from replay.diagnose import diagnose
from replay.diagnose.rules.unexplained import unexplained
from replay.requests import REQUEST

CALLBACK_INDEX = "CREATE INDEX CONCURRENTLY ON public.tasks (callback_id)"
WORKER_INDEX = "CREATE INDEX CONCURRENTLY ON public.tasks (worker_id)"


def saturated(scan):
    """Of 20 slots 18 scan; point reads, quick themselves, wait a second for one of the others."""
    run = Run()
    for pid in range(1, 19):
        for number in range(11):
            run.transaction(pid, number * 900 - 1200, (scan, number * 900, number * 900 + 890))
    for pid in (19, 20):
        for number in range(500):
            run.transaction(pid, number * 20 - 1000, (READ, number * 20, number * 20 + 15))
    return run


def held(*, tags=(WRITE_SCAN, COMMIT, BUMP), crowd=0):
    """Five times a second a transaction bumps a counter and scans; ten others want the counter."""
    run = Run()
    for number in range(50):
        begin = number * 200
        run.transaction(
            *(1, begin - 1),
            *((BUMP, begin, begin + 1), (WRITE_SCAN, begin + 1, begin + 180)),
            (COMMIT, begin + 180, begin + 183),
        )
        for waiter in range(2, 12):
            run.transaction(
                *(waiter, begin + 2),
                *((BUMP, begin + 3, begin + 184), (COMMIT, begin + 184, begin + 185)),
            )
            for at in (begin + 50, begin + 150):
                tag = tags[(at // 50) % len(tags)]
                run.edge(at, waiter, 1, wait=at - begin - 3, tag=tag)
        for _ in range(crowd):
            run.transaction(12, begin - 600, (READ, begin + 190, begin + 191))
    return run


def hot(*, nap=True):
    """Sixteen sessions hold one row for 20 ms each, in a statement or in the client."""
    run = Run()
    for number in range(450):
        pid, begin = number % 16 + 1, number * 22.0
        pause = [(NAP, begin + 1, begin + 21)] if nap else []
        run.transaction(
            *(pid, begin - 600, (BUMP, max(begin - 330, 0), begin + 1), *pause),
            (COMMIT, begin + 21, begin + 22),
        )
        at = (begin // 100) * 100 + 50
        if begin + 1 < at < begin + 22:
            for other in range(1, 16):
                waiter = (pid - 1 + other) % 16 + 1
                run.edge(at, waiter, pid, wait=300, tag=NAP if nap else BUMP, lock="tuple")
    return run


def failing(*kinds, ok=100, skipped=0):
    """Point reads that are served, and (template, SQLSTATE, count) that the server refuses."""
    run = Run()
    outcomes = [(READ, "ok")] * ok + [(t, code) for t, code, count in kinds for _ in range(count)]
    for number, (template, outcome) in enumerate(outcomes):
        begin = number * 10
        run.transaction(1, begin, (template, begin, begin + 5), outcome=outcome)
    for number in range(skipped):
        run.skipped(number, number + 1)
    return run


@pytest.mark.parametrize(
    ("scan", "index"), [(SCAN, CALLBACK_INDEX), (WRITE_SCAN, WORKER_INDEX)], ids=["read", "update"]
)
def test_a_scan_that_fills_the_pool_is_rule_19(tmp_path, scan, index):
    (finding,) = diagnose(saturated(scan).evidence(tmp_path, plans=SCANNING))
    assert finding.rule == 19
    assert [culprit.id for culprit in finding.templates] == [scan]
    assert finding.templates[0].share == pytest.approx(4 / 10_808)
    assert [fix.sql for fix in finding.fixes] == [index]
    assert finding.queue_s == pytest.approx(18 / 20 * 1237, rel=0.1)
    assert finding.evidence["by_template"][scan]["rows_per_kept"] >= 300_000
    assert finding.evidence["by_template"][scan]["node"] == "Seq Scan"
    assert finding.evidence["pool_wait_p95_ms"] > 900
    assert finding.confidence > 0.8


def test_both_scans_that_fill_the_pool_are_named_with_their_indexes(tmp_path):
    run = saturated(SCAN)
    for row in run.attempts:
        if row["template"] == SCAN and row["pid"] > 12:
            row["template"] = WRITE_SCAN
    (finding,) = diagnose(run.evidence(tmp_path, plans=SCANNING))
    assert {culprit.id for culprit in finding.templates} == {SCAN, WRITE_SCAN}
    assert {fix.sql for fix in finding.fixes} == {CALLBACK_INDEX, WORKER_INDEX}


def test_routes_ask_for_nothing_beside_their_statements(tmp_path):
    """Behind a service the requests stand beside what they ran: the smaller scan stays large among statements."""
    run = saturated(SCAN)
    for row in run.attempts:
        if row["template"] == SCAN and row["pid"] > 15:
            row["template"] = WRITE_SCAN
    evidence = run.evidence(tmp_path, plans=SCANNING)
    scanning = evidence.templates[SCAN]
    routes = {
        f"{n:016x}": replace(scanning, id=f"{n:016x}", kind=REQUEST, calls=40 * scanning.calls)
        for n in (90, 91)
    }
    through = replace(evidence, templates={**evidence.templates, **routes})
    (finding,) = diagnose(through)
    assert {culprit.id for culprit in finding.templates} == {SCAN, WRITE_SCAN}


def test_saturation_without_a_wasteful_plan_proposes_no_index(tmp_path):
    (finding,) = diagnose(saturated(NAP).evidence(tmp_path))
    assert finding.rule == 19
    assert [culprit.id for culprit in finding.templates] == [NAP]
    assert [fix.kind for fix in finding.fixes] == ["application"]


def test_an_index_that_is_there_is_not_proposed_again(tmp_path):
    run = saturated(SCAN)
    there = indexed("callback_id", "state", definition="CREATE INDEX …")
    (finding,) = diagnose(run.evidence(tmp_path, plans=SCANNING, profile=there))
    assert finding.fixes == ()
    partial = indexed("callback_id", definition="CREATE INDEX … WHERE state = 'queued'")
    (finding,) = diagnose(run.evidence(tmp_path, plans=SCANNING, profile=partial))
    assert [fix.sql for fix in finding.fixes] == [CALLBACK_INDEX]


@pytest.mark.parametrize("tags", [(WRITE_SCAN,), (COMMIT,), (BUMP,)], ids=["scan", "commit", "hot"])
def test_a_scan_under_a_row_lock_is_rule_5_whatever_the_root_was_seen_to_run(tmp_path, tags):
    (finding,) = diagnose(held(tags=tags).evidence(tmp_path, plans=SCANNING))
    assert finding.rule == 5
    assert [culprit.id for culprit in finding.templates] == [WRITE_SCAN]
    assert [fix.sql for fix in finding.fixes] == [WORKER_INDEX]
    assert finding.relations == ("public.tasks", "public.counters")
    assert finding.blocked_s == pytest.approx(10 * 10, rel=0.02)  # ten sessions, at every look
    assert finding.evidence["sessions_blocked_at_most"] == 10
    assert finding.evidence["longest_wait_ms"] == 147
    assert finding.evidence["episodes"] == 50
    assert finding.evidence["waiting_s"] == {BUMP: pytest.approx(100, rel=0.02)}


def test_the_queue_behind_a_lock_belongs_to_who_holds_it(tmp_path):
    findings = diagnose(held(crowd=5).evidence(tmp_path, plans=SCANNING))
    assert [finding.rule for finding in findings] == [5]
    assert findings[0].queue_s == pytest.approx(50 * 5 * 0.79, rel=0.1)


def test_the_same_fix_of_two_rules_is_one_fix(tmp_path):
    run, filled = held(), saturated(WRITE_SCAN)
    for row in filled.attempts:
        row["arrival"] += run.arrivals
        row["pid"] += 100
    run.attempts += filled.attempts
    findings = diagnose(run.evidence(tmp_path, plans=SCANNING))
    assert {finding.rule for finding in findings} == {5, 19}
    assert len({fix for finding in findings for fix in finding.fixes}) == 1
    explained = [finding.blocked_s + finding.queue_s for finding in findings]
    assert explained == sorted(explained, reverse=True)


def test_a_statement_before_the_lock_is_not_what_holds_it(tmp_path):
    run = Run()
    for number in range(30):
        begin = number * 300
        run.transaction(
            *(1, begin, (SCAN, begin, begin + 150), (BUMP, begin + 150, begin + 151)),
            *((NAP, begin + 151, begin + 280), (COMMIT, begin + 280, begin + 281)),
        )
        run.transaction(2, begin + 160, (BUMP, begin + 160, begin + 281))
        run.edge(begin + 250, 2, 1, wait=90, tag=NAP)
    evidence = run.evidence(tmp_path, plans=SCANNING)
    assert {episode.culprit for episode in evidence.blocking.episodes} == {NAP}
    assert 5 not in {finding.rule for finding in diagnose(evidence)}


def test_a_root_that_waited_itself_is_not_blamed_for_its_wait(tmp_path):
    run = Run()
    run.transaction(1, 0, (BUMP, 0, 1), (NAP, 1, 700), (COMMIT, 700, 701))
    run.transaction(2, 5, (BUMP, 5, 702), (WRITE_SCAN, 702, 900), (COMMIT, 900, 901))
    run.transaction(3, 6, (BUMP, 6, 902), (COMMIT, 902, 903))
    for at in range(50, 700, 100):
        run.edge(at, 2, 1, wait=at - 5, tag=NAP)
        run.edge(at, 3, 1, wait=at - 6, tag=NAP, lock="tuple")
    for at in (750, 850):
        run.edge(at, 3, 2, wait=at - 6, tag=WRITE_SCAN)
    episodes = {e.root: e for e in run.evidence(tmp_path, plans=SCANNING).blocking.episodes}
    assert episodes[1].culprit == NAP
    assert episodes[2].culprit == WRITE_SCAN
    assert episodes[2].hold_ms == pytest.approx(199)
    assert episodes[2].blocked_s == pytest.approx(0.2)


@pytest.mark.parametrize("nap", [True, False], ids=["statement", "client pause"])
def test_a_hot_row_is_rule_7_and_not_5_or_19(tmp_path, nap):
    (finding,) = diagnose(hot(nap=nap).evidence(tmp_path, plans=SCANNING))
    assert finding.rule == 7
    assert [culprit.id for culprit in finding.templates] == [BUMP]
    assert finding.relations == ("public.counters",)
    assert [fix.kind for fix in finding.fixes] == ["application"]
    assert finding.evidence["on_one_row_share"] == 1.0
    assert finding.evidence["sessions_blocked_at_most"] == 15


@pytest.mark.parametrize(("seconds", "rules"), [(10, {5, 7}), (4, {5})], ids=["more", "less"])
def test_a_queue_that_drains_behind_scans_is_no_hot_row(tmp_path, seconds, rules):
    run, drained = held(), hot()
    until = seconds * 1e6
    for row in drained.attempts:
        run.attempts.append(
            {**row, "arrival": row["arrival"] + run.arrivals, "pid": row["pid"] + 100}
        )
    for edge in drained.blocking:
        if edge["at_us"] < until:
            moved = {side: edge[side] + 100 for side in ("waiter", "blocker")}
            run.blocking.append({**edge, **moved})
    assert {f.rule for f in diagnose(run.evidence(tmp_path, plans=SCANNING))} == rules


def test_pairs_that_meet_on_different_rows_are_no_hot_row(tmp_path):
    run = Run()
    for number in range(50):
        begin = number * 200
        for root in range(1, 11):
            run.transaction(root, begin, (BUMP, begin, begin + 1), (NAP, begin + 1, begin + 180))
            run.transaction(root + 10, begin, (BUMP, begin + 2, begin + 181))
            run.edge(begin + 50, root + 10, root, wait=48, tag=NAP)
    assert [finding.rule for finding in diagnose(run.evidence(tmp_path))] == [0]


HEALTHY_TOO = {
    "pool": saturated(SCAN),
    "held": held(),
    "hot": hot(),
    "failing": failing((SCAN, "42P01", 1)),
}


@pytest.mark.parametrize("made", HEALTHY_TOO.values(), ids=HEALTHY_TOO)
def test_a_healthy_run_has_no_findings(tmp_path, made):
    assert diagnose(made.evidence(tmp_path, plans=SCANNING, healthy=True)) == ()


def test_what_nothing_explains_is_unexplained(tmp_path):
    run = Run()
    for number in range(100):
        run.transaction(number % 5 + 1, number * 100, (READ, number * 100, number * 100 + 400))
    (finding,) = diagnose(run.evidence(tmp_path))
    assert (finding.rule, finding.templates, finding.fixes) == (0, (), ())
    assert finding.evidence["worst_p95_ms"] == pytest.approx(400)
    assert finding.evidence["waits"]["on CPU"] == pytest.approx(4, rel=0.2)


def test_where_a_service_is_slow_by_itself_that_is_seen_in_what_is_unexplained(tmp_path):
    run = Run()
    for number in range(100):
        run.transaction(number % 5 + 1, number * 100, (READ, number * 100, number * 100 + 400))
    evidence = run.evidence(tmp_path)
    assert "inside of the service" not in unexplained(evidence).summary
    through = replace(evidence.run, options={**evidence.run.options, "service": "http://x"})
    told = unexplained(replace(evidence, run=through)).summary
    assert "of 0.0 requests under way on average 4.0 had a statement that ran" in told


def test_clients_that_pause_with_a_slot_in_hand_are_seen_in_what_is_unexplained(tmp_path):
    run = Run()
    for pid in range(1, 21):
        for number in range(10):
            begin = number * 1000
            run.transaction(
                *(pid, begin - 2000, (READ, begin, begin + 5)),
                *((COMMIT, begin + 990, begin + 995),),
            )
    (finding,) = diagnose(run.evidence(tmp_path))
    assert finding.rule == 0
    assert next(iter(finding.evidence["held_by_s"])) == "client"


def test_what_fails_here_only_is_named_by_template_and_sqlstate(tmp_path):
    run = failing((NAP, "42883", 10), (SCAN, "42P01", 20), (SCAN, "22P02", 1), (BUMP, "23514", 2))
    (finding,) = diagnose(run.evidence(tmp_path))
    assert (finding.rule, finding.name) == (0, "statements fail here that did not in production")
    assert [culprit.id for culprit in finding.templates] == [SCAN, NAP, BUMP]
    assert finding.evidence["by_template"] == {
        SCAN: {"42P01": 20, "22P02": 1},
        NAP: {"42883": 10},
        BUMP: {"23514": 2},
    }
    assert finding.evidence["by_sqlstate"] == {"42P01": 20, "42883": 10, "23514": 2, "22P02": 1}
    assert finding.evidence["failed_share"] == pytest.approx(33 / 133, abs=1e-3)
    assert finding.summary.startswith("33 statements of 3 templates failed with 42P01 (undefined")
    assert finding.summary.endswith("staging lacks what 30 of them use")
    tables, functions = finding.fixes
    assert (tables.kind, tables.sql) == ("application", "")
    assert f"an object that {SCAN} uses is missing in staging" in tables.why
    assert "42883 (undefined function)" in functions.why
    assert "generate lists what it left out" in functions.why


def test_one_kind_of_failure_is_told_in_a_plain_sentence(tmp_path):
    run = failing((SCAN, "42P01", 20), (NAP, "42P01", 2))
    (finding,) = diagnose(run.evidence(tmp_path))
    assert finding.summary == (
        "22 statements of 2 templates failed with 42P01 (undefined table): "
        "staging lacks what they use"
    )


def test_failures_that_no_missing_object_explains_have_no_fix(tmp_path):
    (finding,) = diagnose(failing((BUMP, "23505", 20)).evidence(tmp_path))
    assert finding.summary == (
        "20 statements of 1 template failed with 23505 (unique violation): in production they did not"
    )
    assert finding.fixes == ()


def test_what_failed_in_production_too_is_no_finding(tmp_path):
    run = failing((SCAN, "42P01", 20))
    (finding,) = diagnose(run.evidence(tmp_path, errors={SCAN: "42P01"}))
    assert finding.name == "unexplained"
    (finding,) = diagnose(run.evidence(tmp_path, errors={SCAN: "23505", NAP: "42P01"}))
    assert [culprit.id for culprit in finding.templates] == [SCAN]


@pytest.mark.parametrize("outcome", ["cancelled", "lost", "skipped:pool_timeout", "skipped:end"])
def test_what_the_server_did_not_refuse_is_no_failure_of_a_statement(tmp_path, outcome):
    (finding,) = diagnose(failing((READ, outcome, 50)).evidence(tmp_path))
    assert finding.name == "unexplained"


@pytest.mark.parametrize(
    ("skipped", "p95_ms", "names"),
    [
        (19, 7.0, ["statements fail"]),
        (21, 7.0, ["statements fail", "unexplained"]),
        (0, 251.0, ["statements fail", "unexplained"]),
        (500, 7.0, ["unexplained"]),
    ],
    ids=["most", "less than half", "slow as well", "hardly any"],
)
def test_unexplained_is_left_out_where_failures_explain_the_run(tmp_path, skipped, p95_ms, names):
    run = failing((SCAN, "42P01", 20), skipped=skipped)
    found = diagnose(run.evidence(tmp_path, p95_ms=p95_ms))
    assert [f.name.removesuffix(" here that did not in production") for f in found] == names


def test_failures_of_the_load_itself_do_not_explain_the_service(tmp_path):
    run = failing((SCAN, "42P01", 20), skipped=2)
    (finding,) = diagnose(run.evidence(tmp_path, boosted=(SCAN,)))
    assert finding.name == "unexplained"


@pytest.mark.parametrize(
    ("code", "p95_ms", "rules"),
    [("42P01", 7.0, [0, 19]), ("42P01", 5000.0, [19, 0]), ("55P03", 7.0, [19, 0])],
    ids=["quick", "slow", "contention"],
)
def test_failures_stand_first_only_where_they_explain_the_run(tmp_path, code, p95_ms, rules):
    run = saturated(SCAN)
    for number in range(200):
        begin = number * 50
        run.transaction(21, begin, (BUMP, begin, begin + 1), outcome=code)
    found = diagnose(run.evidence(tmp_path, plans=SCANNING, p95_ms=p95_ms))
    assert [finding.rule for finding in found] == rules


def test_an_empty_run_is_unexplained(tmp_path):
    (finding,) = diagnose(Run().evidence(tmp_path))
    assert finding.rule == 0


def test_findings_are_json(tmp_path):
    for made in (saturated(SCAN), held(), hot(), failing((SCAN, "42P01", 20))):
        evidence = made.evidence(tmp_path, plans=SCANNING)
        for finding in diagnose(evidence):
            assert json.loads(msgspec.json.encode(finding))["evidence"] == dict(finding.evidence)


def test_a_run_without_a_profile_still_names_the_scan(tmp_path):
    (finding,) = diagnose(saturated(SCAN).evidence(tmp_path, plans=SCANNING, profile=None))
    assert (finding.rule, finding.fixes) == (19, ())


def test_a_pool_that_gives_up_early_is_saturated_as_well(tmp_path):
    run = saturated(SCAN)
    run.attempts = [row for row in run.attempts if row["template"] == SCAN]
    for number in range(1000):
        run.skipped(number * 10, number * 10 + 100)
    (finding,) = diagnose(run.evidence(tmp_path, plans=SCANNING))
    assert (finding.rule, [culprit.id for culprit in finding.templates]) == (19, [SCAN])


def test_transactions_that_never_got_a_slot_waited_until_they_were_given_up(tmp_path):
    run = saturated(SCAN)
    before = run.evidence(tmp_path).queue
    for number in range(100):
        run.skipped(number * 50, number * 50 + 5000)
    after = run.evidence(tmp_path).queue
    assert after.total_s - before.total_s == pytest.approx(500)
    assert sum(after.demand_s.values()) == pytest.approx(after.total_s)


def approximately(value):
    """Values of which numbers may differ in the seventh digit."""
    if isinstance(value, dict):
        return {name: approximately(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(approximately(one) for one in value)
    return pytest.approx(value, rel=1e-6) if isinstance(value, float) else value


@pytest.mark.parametrize("made", [held, lambda: saturated(SCAN)], ids=["held", "saturated"])
def test_the_evidence_of_a_long_run_is_made_in_parts_and_the_same(tmp_path, monkeypatch, made):
    whole = made().evidence(tmp_path)
    monkeypatch.setattr(ondisk, "BLOCK", 200)
    parts = made().evidence(tmp_path)
    assert len(list(parts.attempts.parts())) > 3
    names = {field.name for field in fields(whole)} - {"run", "attempts", "profile"}
    assert names > {"templates", "series", "queue", "failures", "trends", "blocking", "deadlocks"}
    for name in names:
        one, other = (
            msgspec.to_builtins(getattr(evidence, name), str_keys=True)
            if name in ("templates", "series", "queue", "failures", "trends")
            else getattr(evidence, name)
            for evidence in (whole, parts)
        )
        assert other == approximately(one) if isinstance(one, dict | tuple) else other == one, name
