"""A run made by hand, statement by statement, as its tables would stand on disk."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
from made_manifest import manifest_of

from data_gen.profile import (
    ColumnProfile,
    Constraint,
    ForeignKey,
    IndexProfile,
    SchemaProfile,
    TableProfile,
)
from replay import rundir, runtables
from replay.diagnose.gathering import gather
from replay.outcome import SKIPPED_POOL
from replay.rundir import RunManifest
from replay.workload import Statement, Template, Transaction, Workload

READ, SCAN, WRITE_SCAN, BUMP, COMMIT, NAP = (f"{n:016x}" for n in range(1, 7))
CHILD, DELETE, UPSERT, TAKE, NOTIFY, LOCK, SAVEPOINT = (f"{n:016x}" for n in range(7, 14))
LOCK_TABLE = f"{14:016x}"
SQL = {
    READ: "SELECT state FROM tasks WHERE id = $1",
    SCAN: "SELECT id FROM tasks WHERE callback_id = $1",
    WRITE_SCAN: "UPDATE tasks SET state = $1 WHERE worker_id = $2 AND state = $3",
    BUMP: "UPDATE counters SET n = n + 1 WHERE id = $1",
    COMMIT: "COMMIT",
    NAP: "SELECT pg_sleep($1)",
    CHILD: "INSERT INTO logs (task_id) VALUES ($1)",
    DELETE: "DELETE FROM tasks WHERE id = $1",
    UPSERT: "INSERT INTO counters (id, n) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET n = 2",
    TAKE: "SELECT pg_advisory_lock($1)",
    NOTIFY: "NOTIFY done",
    LOCK: "SELECT state FROM tasks WHERE id = $1 FOR UPDATE",
    SAVEPOINT: "SAVEPOINT s",
    LOCK_TABLE: "LOCK TABLE tasks IN EXCLUSIVE MODE",
}
# The first six are told by their edges alone.
TABLES = {CHILD: "logs", DELETE: "tasks", UPSERT: "counters", LOCK: "tasks"}
CALLS = {READ: 9000, SCAN: 4, WRITE_SCAN: 4, BUMP: 600, COMMIT: 600, NAP: 600}
MEAN_MS = {NAP: 80.0}  # in production; 1 ms where not named
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)


def column(name, distinct):
    return ColumnProfile(
        name=name, type="text", base_type="text", not_null=False, n_distinct=distinct, analyzed=True
    )


TASKS = TableProfile(
    schema="public",
    name="tasks",
    rows=1_200_000,
    pages=20_000,
    dead_rows=0,
    columns=(
        column("id", -1.0),
        column("callback_id", -0.3),
        column("worker_id", 2500.0),
        column("state", 4.0),
    ),
    constraints=(
        Constraint(name="tasks_pkey", kind="p", columns=("id",), definition="PRIMARY KEY (id)"),
    ),
)
COUNTERS = replace(TASKS, name="counters", rows=10, columns=(column("id", -1.0), column("n", 1.0)))
LOGS = replace(
    TASKS,
    name="logs",
    columns=(column("task_id", -0.5),),
    constraints=(),
    foreign_keys=(
        ForeignKey(
            name="logs_task_id_fkey",
            columns=("task_id",),
            parent="public.tasks",
            parent_columns=("id",),
            definition="FOREIGN KEY (task_id) REFERENCES tasks(id)",
        ),
    ),
)
PROFILE = SchemaProfile(server_version=180000, tables=(TASKS, COUNTERS, LOGS))


def indexed(*columns, definition=""):
    """The schema with an index on these columns of tasks."""
    index = IndexProfile(
        name="there", definition=definition, columns=columns, unique=False, valid=True, bytes=1
    )
    return replace(PROFILE, tables=(replace(TASKS, indexes=(index,)), COUNTERS))


def workload(errors):
    statements = tuple(
        Statement(
            template=name,
            sql=sql,
            slots="p" * sql.count("$"),
            values=("1",) * sql.count("$"),
            prepared="",
            offset_us=0,
            duration_us=1000,
            error=errors.get(name, ""),
        )
        for name, sql in SQL.items()
    )
    return Workload(
        manifest=manifest_of(BEGIN, 20, executions=sum(CALLS.values()), transactions=1),
        templates=tuple(
            Template(
                id=name,
                sql=sql,
                kind=sql.split()[0].lower(),
                tables=(TABLES[name],) if name in TABLES else (),
                calls=CALLS.get(name, 0),
                errors=0,
                total_ms=CALLS.get(name, 0) * MEAN_MS.get(name, 1.0),
            )
            for name, sql in SQL.items()
        ),
        transactions=(
            Transaction(
                id=0, session="s", start_us=0, weight=1, shape="0" * 16, statements=statements
            ),
        ),
    )


def plan(template, *, read, kept, ms, relation="tasks", condition="", write=False):
    """An entry of plans.json: one sequential scan, below an update where it writes."""
    scan = {
        "Node Type": "Seq Scan",
        "Schema": "public",
        "Relation Name": relation,
        "Filter": condition,
        "Plan Rows": kept,
        "Actual Rows": kept,
        "Actual Loops": 1,
        "Rows Removed by Filter": read - kept,
    }
    top = {
        "Node Type": "ModifyTable",
        "Schema": "public",
        "Relation Name": relation,
        "Actual Rows": 0,
        "Actual Loops": 1,
        "Plans": [scan],
    }
    return {
        "sql": SQL[template],
        "how": "analyze",
        "plan": [{"Plan": top if write else scan, "Execution Time": ms}],
        "error": "",
    }


SCANNING = {
    SCAN: plan(SCAN, read=1_200_000, kept=1, ms=80.0, condition="(tasks.callback_id = 'x'::text)"),
    WRITE_SCAN: plan(
        WRITE_SCAN,
        read=1_200_000,
        kept=4,
        ms=150.0,
        condition="((tasks.worker_id = 'w'::text) AND (tasks.state = 's'::text))",
        write=True,
    ),
}


class Run:
    """Times in ms since the origin."""

    def __init__(self, seconds=10):
        self.seconds = seconds
        self.attempts = []
        self.blocking = []
        self.locklog = []
        self.counters = []
        self.seen = []
        self.arrivals = 0

    def transaction(self, pid, due, *statements, outcome="ok"):
        """A transaction: (template, began, ended) a statement; `outcome` is that of its last."""
        before = due
        for ordinal, (template, began, ended) in enumerate(statements):
            last = ordinal == len(statements) - 1
            self._attempt(ordinal, template, pid, before, began, ended, outcome if last else "ok")
            before = ended
        self.arrivals += 1

    def skipped(self, due, ended, template=READ):
        """A transaction that waited for a slot and was given up."""
        self._attempt(0, template, 0, due, -0.001, ended, SKIPPED_POOL)
        self.arrivals += 1

    def edge(self, at, waiter, blocker, *, wait, tag, state="active", lock="transactionid", **more):
        """A session that waits to bump a counter, behind one whose text shows `tag`."""
        self.blocking.append(
            {
                "at_us": round(at * 1000),
                "waiter": waiter,
                "blocker": blocker,
                "waiter_template": BUMP,
                "blocker_template": tag,
                "blocker_state": state,
                "lock_type": lock,
                "mode": "ShareLock",
                "relation": "public.counters",
                "wait_us": round(wait * 1000),
                **more,
            }
        )

    def told(self, kind, pid, template, *, at, event=0, mode="", lock="", holders="", key=""):
        """A line of the server's log."""
        self.locklog.append(
            {
                "at_us": round(at * 1000),
                "event": event,
                "kind": kind,
                "pid": pid,
                "template": template,
                "text": "",
                "mode": mode,
                "lock_type": lock,
                "relation": "",
                "key": key,
                "wait_us": 0,
                "holders": holders,
                "queue": "",
            }
        )

    def counted(self, kind, name, **figures):
        """Figures that grew from 0."""
        self.counters += [
            {"kind": kind, "name": name, "figure": figure, "before": 0.0, "after": float(after)}
            for figure, after in figures.items()
        ]

    def waited(self, template, label, seconds, *, pid=1, text="", xmin=-1, age=0):
        """Samples of a session in a wait, ten a second from the beginning."""
        wait_type, _, wait = label.partition(": ")
        self.seen += [
            {
                "at_us": 50_000 + number * 100_000,
                "pid": pid,
                "state": "active" if wait_type != "idle in transaction" else wait_type,
                "wait_type": wait_type if wait else "",
                "wait": wait,
                "template": template,
                "transaction_age_us": age * number * 100_000,
                "query_age_us": 0,
                "text": text,
                "xmin_age": xmin,
            }
            for number in range(round(seconds * 10))
        ]

    def evidence(
        self,
        directory,
        *,
        plans=None,
        healthy=False,
        profile=PROFILE,
        errors=None,
        p95_ms=7.0,
        boosted=(),
        conflicts=(),
        migration=None,
    ):
        """Write the run and gather what the rules see; `errors` is production's, by template."""
        path = directory / "made.run"
        rundir.create(
            path,
            RunManifest(
                tool_version="0",
                workload="made.workload",
                workload_id="0" * 16,
                scenario="storm",
                options={},
                seed=0,
                origin=BEGIN,
                duration_s=self.seconds,
                workers=1,
                pool=20,
                state="finished",
                valid=True,
                healthy=healthy,
                objective={"objective_ms": 250.0, "p95_ms": p95_ms},
                boosted=boosted,
            ),
        )
        tables = {
            "attempts": self.attempts,
            "samples": self._samples() + self.seen,
            "blocking": self.blocking,
            "locklog": self.locklog,
            "counters": self.counters,
        }
        for name, rows in tables.items():
            rundir.write_table(path, name, pa.Table.from_pylist(rows, runtables.TABLES[name]))
        rundir.write_plans(path, plans or {})
        if migration is not None:
            rundir.write_migration(path, migration)
        made = replace(workload(errors or {}), conflicts=conflicts)
        return gather(path, made, profile)

    def _attempt(self, ordinal, template, pid, due, began, ended, outcome):
        self.attempts.append(
            {
                "arrival": self.arrivals,
                "ordinal": ordinal,
                "template": template,
                "session": pid,
                "worker": 0,
                "pid": pid,
                "due_us": round(due * 1000),
                "began_us": round(began * 1000),
                "ended_us": round(ended * 1000),
                "lag_us": 0,
                "outcome": outcome,
                "rows": 1,
            }
        )

    def _samples(self):
        """What a 10 Hz sampler would have seen: one look every 100 ms, from 50 ms on."""
        return [
            {
                "at_us": at_us,
                "pid": row["pid"],
                "state": "active",
                "wait_type": "",
                "wait": "",
                "template": row["template"],
                "transaction_age_us": 0,
                "query_age_us": at_us - row["began_us"],
            }
            for row in self.attempts
            if row["began_us"] >= 0
            for at_us in range(
                -(-(row["began_us"] - 50_000) // 100_000) * 100_000 + 50_000,
                min(row["ended_us"], self.seconds * 1_000_000),
                100_000,
            )
        ]
