"""Names in Locust's tables: a person recognises the statement, and no two are the same."""

import pytest

from replay.load.naming import names, shortened


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("COMMIT", "COMMIT"),
        ("UPDATE t SET n = n + 1\n  WHERE id = $1;", "UPDATE t SET n = n + 1 WHERE id = $1"),
        (
            (
                "UPDATE tasks SET status = $1, started_at = $2, attempts = attempts + 1 "
                "WHERE worker_id = $3 AND status = $4"
            ),
            "UPDATE tasks SET ... WHERE worker_id = $3 AND status = $4",
        ),
        (
            "SELECT id, project_id, payload, status, created_at FROM tasks WHERE project_id = $1",
            "SELECT ... FROM tasks WHERE project_id = $1",
        ),
        (
            "INSERT INTO tasks (project_id, payload, status) VALUES ($1, $2, coalesce($3, $4))",
            "INSERT INTO tasks (...) VALUES (...)",
        ),
        (
            "DELETE FROM queue_messages WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8)",
            "DELETE FROM queue_messages WHERE id IN (...)",
        ),
    ],
)
def test_a_name_keeps_what_tells_the_statement(sql: str, name: str) -> None:
    assert shortened(sql) == name


def test_a_long_one_loses_its_middle() -> None:
    joins = " ".join(f"JOIN side_table_{n} USING (id)" for n in range(9))
    name = shortened(f"SELECT 1 FROM tasks {joins} WHERE worker_id = $1 FOR UPDATE")
    assert len(name) <= 100
    assert name.startswith("SELECT 1 FROM tasks")
    assert name.endswith("WHERE worker_id = $1 FOR UPDATE")


def test_names_are_unique_and_carry_the_id_only_where_they_must() -> None:
    wide = "UPDATE tasks SET {} = $1, a_long_list = $2, of_columns = $3 WHERE id = $4"
    found = names({"a" * 16: wide.format("x"), "b" * 16: wide.format("y"), "c" * 16: "BEGIN"})
    assert found["a" * 16] == ("UPDATE", "UPDATE tasks SET ... WHERE id = $4 [aaaaaaaa]")
    assert found["b" * 16] == ("UPDATE", "UPDATE tasks SET ... WHERE id = $4 [bbbbbbbb]")
    assert found["c" * 16] == ("BEGIN", "BEGIN")


def test_a_request_is_named_by_its_route_as_locusts_users_know_it() -> None:
    found = names({"a": "GET /tasks/{int}", "b": "POST /tasks/{int}", "c": "SELECT X /y"})
    assert found == {
        "a": ("GET", "/tasks/{int}"),
        "b": ("POST", "/tasks/{int}"),
        "c": ("SELECT", "SELECT X /y"),
    }
