"""A table's knob out of its range is refused with the bound and the reason."""

from __future__ import annotations

import pytest

from synthetic import make_environment

REFUSED = [
    ("linear-v1", {"null_columns": 6}, r"a column with a weight.*null_columns=6"),
    ("linear-v1", {"resolution": 3}, r"power of two from 1 to 1024.*got 3"),
    ("boolean-v1", {"formula": "a and or b"}, r"at position 7, a variable, 'not' or '\(' was expected here.*got 'or'"),
    ("boolean-v1", {"null_columns": 8}, r"at most 10 columns.*3 variables and null_columns=8"),
    ("parity-v1", {"columns": 65}, r"at most 64 in all.*got columns=65"),
    ("threshold-v1", {"t": 6}, r"from 1 to the number of counted columns, 5 \(got t=6\)"),
    ("modulo-v1", {"m": 1}, r"at least 2.*got m=1"),
    ("modulo-v1", {"m": 7}, r"at most the number of counted columns, 6, or nothing wraps.*got m=7"),
    ("product-v1", {"weight": 0}, r"not 0, or nothing interacts.*got 0"),
    ("product-v1", {"reach": 9}, r"reach 1 to 8.*reach=9"),
    ("redundant-evidence-v1", {"copies": 0}, r"1 to 10 copies.*copies=0"),
    ("interacting-v1", {"on_weight": 1.0}, r"differ, or nothing interacts.*=1.0"),
    ("interacting-v1", {"off_weight": 0.1}, r"multiples of 1/4.*off_weight=0.1"),
    ("nested-gates-v1", {"depth": 5}, r"depth 1 to 4.*depth=5"),
    ("pertinent-negative-table-v1", {"baseline": 2}, r"absent \(0\) or present \(1\).*got 2"),
    ("pertinent-negative-table-v1", {"negatives": 0}, r"at least one column counts by its absence.*negatives=0"),
    ("uncertainty-aware-v1", {"classes": 1}, r"two classes.*classes=1"),
    ("uncertainty-aware-v1", {"shared": 4}, r"at most 7 columns.*shared=4"),
    ("shattered-gradient-v1", {"teeth": 4}, r"teeth is odd.*got 4"),
    ("known-kinks-v1", {"kinks": (1.0,)}, r"multiples of 1/4 that are no integers.*1\.0"),
    ("known-kinks-v1", {"kinks": (2.5, 1.5)}, r"ascending and differ"),
    ("random-dense-v1", {"inputs": 7}, r"2 to 6 inputs.*inputs=7"),
    ("random-dense-v1", {"equal_columns": 5}, r"different columns.*equal_columns=5"),
    ("random-monotone-v1", {"seed": -1}, r"natural number.*-1"),
    (
        "random-homogeneous-v1",
        {"inputs": 1, "equal_columns": 0, "null_columns": 0},
        r"2 to 6 inputs.*inputs=1",
    ),
    ("additive-v1", {"columns": 3}, r"at least 3 columns.*got columns=3, null_columns=1"),
    ("additive-v1", {"columns": 17}, r"at most 16.*got columns=17"),
    ("unanimity-v1", {"order": 1}, r"2 <= order <= columns - 2.*order=1"),
    ("unanimity-v1", {"columns": 4, "order": 3}, r"order <= columns - 2.*columns=4, order=3"),
    ("saturated-or-v1", {"columns": 2}, r"at least 2 columns in the OR.*columns=2, null_columns=1"),
    ("saturated-or-v1", {"null_columns": -1}, r"null_columns=-1"),
    ("cancellation-v1", {"weight": 0.25}, r"at least 1/2.*got 0.25"),
    ("cancellation-v1", {"weight": 0.6}, r"multiple of 1/4.*got 0.6"),
    ("cancellation-v1", {"closing": 5.0}, r"= 5.25,.*leak.*got closing=5.0"),
    ("cancellation-v1", {"pairs": 0}, r"1 to 3 pairs.*pairs=0"),
]


@pytest.mark.parametrize(("id", "knobs", "message"), REFUSED, ids=[f"{id} {knobs}" for id, knobs, _ in REFUSED])
def test_a_knob_out_of_range_is_refused_with_its_bound(id, knobs, message):
    with pytest.raises(ValueError, match=message):
        make_environment(id, **knobs)
