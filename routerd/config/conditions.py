"""`when`: which messages a route takes."""

import math
from collections.abc import Iterable, Mapping

from routerd.config.references import References
from routerd.findings import KeyPath, did_you_mean, kind_of, listed, quoted
from routerd.section import Section
from routerd.shape import Condition, Scalar, When
from routerd.template import NAME, Reference, TemplateError, parse_reference

_KEYS = ("present", "not", "min", "max")
_LEAST = "; write { min = NUMBER }, which takes NUMBER itself as well"
_MOST = "; write { max = NUMBER }, which takes NUMBER itself as well"
_EQUAL = "; write the value alone, as in {0} = VALUE"
_MENDS = {
    **dict.fromkeys(("gt", "ge", "gte", ">", ">="), _LEAST),
    **dict.fromkeys(("lt", "le", "lte", "<", "<="), _MOST),
    **dict.fromkeys(("eq", "=", "==", "equals", "is"), _EQUAL),
    **dict.fromkeys(("ne", "neq", "!=", "<>"), "; write { not = VALUE }"),
    **dict.fromkeys(("in", "one_of"), "; write the list alone, as in {0} = [VALUE, VALUE]"),
}
"""For those that look for the operators of other programs."""


def read_when(
    route: Section, *, skip: frozenset[str], references: References, captures: frozenset[str]
) -> When | None:
    """The conditions; None without any. Keys named in `skip` are left out."""
    section = route.section("when")
    if section is None:
        return None
    if not section.values:
        route.problem(
            "when", f"`when` of {route.label} is empty; name what must hold, or remove it"
        )
    when: dict[Reference, Condition] = {}
    for key, value in section.values.items():
        if key not in skip:
            reader = _Reader(route, key)
            reference = reader.reference(value)
            if reference is None:
                continue
            references.add_one(reference, reader.path, f"`when` of {route.label}")
            condition = reader.condition(value, is_text=_is_text(reference, captures))
            if condition is not None:
                when[reference] = condition
    return when


class _Reader:
    """Reads one condition.

    Attributes:
        path: where it stands.
    """

    def __init__(self, route: Section, key: str) -> None:
        self.path: KeyPath = (*route.path, "when", key)
        self._findings = route.findings
        self._key = key
        self._where = f"{quoted(key)} in `when` of {route.label}"

    def reference(self, value: object) -> Reference | None:
        """What the condition is about."""
        key = self._key
        if isinstance(value, Mapping) and NAME.fullmatch(key) and not self._is_condition(value):
            nested = f".{key}.{_innermost(value)}"
            self._problem(
                f"is a table without one of {listed(_KEYS)}; a key with a dot needs quotes, "
                f"{quoted(nested)}"
            )
            return None
        if not key:
            self._problem('names nothing; write a capture, or a field of the payload, ".a.b"')
            return None
        if key.startswith("{") and key.endswith("}"):
            self._problem(f"must be written without braces, {quoted(key[1:-1])}")
            return None
        try:
            reference = parse_reference(key)
        except TemplateError as exc:
            if "." in key.strip("."):
                self._problem(f'names nothing; a field of the payload begins with a dot, ".{key}"')
            else:
                self._problem(f"names nothing: {exc}")
            return None
        if reference.optional:
            self._problem(
                "needs no `?`: what is missing doesn't match anyway; "
                "{ present = false } asks for just that"
            )
            return None
        return reference

    @staticmethod
    def _is_condition(value: Mapping[str, object]) -> bool:
        """Whether at least one key of a table is near to one that conditions have."""
        known = (*_KEYS, *_MENDS)
        return any(key in known or did_you_mean(key, _KEYS) for key in value) or not value

    def condition(self, value: object, *, is_text: bool) -> Condition | None:
        """What must hold of the reference; None if that can't be read.

        Args:
            value: as the file has it.
            is_text: whether the reference always stands for a text, as captures do.
        """
        condition = self._read(value)
        if condition is None or not is_text:
            return condition
        wanted = (*(condition.one_of or ()), *(condition.none_of or ()))
        numbers = [one for one in wanted if not isinstance(one, str)]
        if numbers or condition.min is not None or condition.max is not None:
            shown = f'; write "{quoted(numbers[0])}"' if numbers else "; write a text"
            self._problem(f"is always a text, and is compared with {_kind(numbers)}{shown}")
            return None
        return condition

    def _read(self, value: object) -> Condition | None:
        if isinstance(value, Mapping):
            return self._read_table(value)
        one_of = self._scalars(value)
        return None if one_of is None else Condition(one_of=one_of)

    def _read_table(self, values: Mapping[str, object]) -> Condition | None:
        is_right = True
        for key in values:
            if key not in _KEYS:
                mend = _MENDS.get(key.lower(), "").replace("{0}", quoted(self._key))
                meant = mend or did_you_mean(key, _KEYS) or f"; it has {listed(_KEYS)}"
                self._problem(f"has no condition `{quoted(key)[1:-1]}`{meant}", key)
                is_right = False
        if not values:
            self._problem(f"is an empty table; write one of {listed(_KEYS)} into it")
            return None
        present = values.get("present")
        if "present" in values and not isinstance(present, bool):
            self._problem(
                f"must have true or false as `present`, not {kind_of(present)}", "present"
            )
            is_right = False
        none_of = self._scalars(values["not"], "not") if "not" in values else None
        least, most = self._number(values, "min"), self._number(values, "max")
        is_right &= none_of is not None or "not" not in values
        is_right &= (least is not None) == ("min" in values)
        is_right &= (most is not None) == ("max" in values)
        if not is_right:
            return None
        return self._coherent(
            Condition(None, none_of, present if isinstance(present, bool) else None, least, most)
        )

    def _coherent(self, condition: Condition) -> Condition | None:
        bounds = (condition.none_of, condition.min, condition.max)
        if condition.present is False and any(bound is not None for bound in bounds):
            self._problem(
                "asks for `present = false` and for a value, which nothing matches; remove one"
            )
            return None
        least, most = condition.min, condition.max
        if least is not None and most is not None and least > most:
            self._problem("has a `min` above its `max`, which nothing matches; swap them")
            return None
        return condition

    def _scalars(self, value: object, key: str | None = None) -> tuple[Scalar, ...] | None:
        values = value if isinstance(value, list) else [value]
        if not values:
            self._problem("is an empty list, which nothing matches; write values into it", key)
            return None
        found: list[Scalar] = []
        for one in values:
            if not isinstance(one, Scalar) or (isinstance(one, float) and not math.isfinite(one)):
                self._problem(
                    "must be compared with a text, a number, true or false, or a list of them, "
                    f"not with {kind_of(one)}",
                    key,
                )
                return None
            found.append(one)
        return tuple(found)

    def _number(self, values: Mapping[str, object], key: str) -> float | None:
        value = values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            self._problem(
                f"must have a number without quotes as `{key}`, not {kind_of(value)}", key
            )
            return None
        return value

    def _problem(self, sentence: str, key: str | None = None) -> None:
        path = self.path if key is None else (*self.path, key)
        self._findings.problem(path, f"{self._where} {sentence}")


def _is_text(reference: Reference, captures: frozenset[str]) -> bool:
    """Whether it always stands for a text; a claim may be anything that JSON has."""
    match reference.kind:
        case "field":
            return False
        case "meta":
            return reference.name != "claim"
        case _:
            return reference.name in captures


def _innermost(value: object) -> str:
    """What TOML nested: of `{lat = {x = 1}}` it is `lat.x`."""
    steps = []
    while isinstance(value, Mapping) and value and not set(value) & set(_KEYS):
        step = next(iter(value))
        steps.append(step)
        value = value[step]
    return ".".join(steps)


def _kind(numbers: Iterable[Scalar]) -> str:
    first = next(iter(numbers), None)
    return "a number" if first is None else kind_of(first)
