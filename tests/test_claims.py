"""Claims by their names."""

import pytest

from routerd.claims import find_claim
from routerd.fields import MISSING

CLAIMS = {
    "sub": "ada",
    "none": None,
    "rooms": ["a"],
    "realm": {"roles": ["x"], "deep": {"er": 1}},
    "realm.roles": "dotted",
    "https://example.org/role": "admin",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sub", "ada"),
        ("none", None),
        ("rooms", ["a"]),
        ("realm", CLAIMS["realm"]),
        ("realm.roles", "dotted"),
        ("realm.deep.er", 1),
        ("https://example.org/role", "admin"),
        ("nowhere", MISSING),
        ("sub.x", MISSING),
        ("rooms.0", MISSING),
        ("realm.deep.x", MISSING),
        ("", MISSING),
    ],
)
def test_a_claim_is_found_by_its_name_or_its_way(name: str, value: object) -> None:
    assert find_claim(CLAIMS, name) == value
