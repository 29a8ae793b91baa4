"""Plans without figures: two are equal where they read the same in the same way."""

from replay.sql.plan_shape import shape

READ = {"Node Type": "Index Scan", "Relation Name": "orders", "Index Name": "orders_pkey"}
VALUE = {"Node Type": "Result", "Parent Relationship": "InitPlan"}


def test_a_value_from_a_sub_select_is_no_other_plan_and_one_that_is_read_is():
    assert shape(READ) == "Index Scan orders orders_pkey"
    assert shape({**READ, "Plans": [VALUE]}) == shape(READ)
    scan = {**READ, "Parent Relationship": "InitPlan"}
    assert shape({**READ, "Plans": [{**VALUE, "Plans": [scan]}]}) != shape(READ)
    nested = {"Node Type": "Limit", "Plans": [{"Node Type": "Result", "Plans": []}]}
    assert shape(nested) == "Limit (Result)"
