"""Claims: what a token says of whoever has it."""

from collections.abc import Mapping

from routerd.fields import MISSING


def find_claim(claims: Mapping[str, object], name: str) -> object:
    """One claim, or `MISSING`. A name with dots is one of that name, or leads into tables."""
    if name in claims:
        return claims[name]
    found: object = claims
    for step in name.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return MISSING
        found = found[step]
    return found
