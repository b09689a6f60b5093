"""The keys of `[ws]` and of its `paths` that say who may come in."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_network

from routerd.address import AddressError, Pattern, parse_path_pattern
from routerd.connectors.websocket.entry.allow_checks import needs_claims, read_allow
from routerd.connectors.websocket.entry.auth_checks import read_auth
from routerd.connectors.websocket.entry.origin import canonical
from routerd.connectors.websocket.entry.patterns import Tie, find_ties
from routerd.connectors.websocket.entry.settings import ANYONE, EntrySettings, Network, Rule
from routerd.findings import Findings, KeyPath, did_you_mean, kind_of, listed, quoted
from routerd.section import Section

KEYS = ("origins", "require_origin", "auth", "allow")
"""Of a path, and of the listener for all paths that don't say otherwise."""
HINTS = {
    "origin": "it is called `origins`, a list",
    "allow_origin": "it is called `origins`, a list",
    "cors": "it is called `origins`, a list",
    "token": "it belongs to `auth`",
    "tokens": "it belongs to `auth`",
    "jwt": "it belongs to `auth`",
}


def read_entry(section: Section) -> EntrySettings:
    """What a listener's table says, and each table of its `paths`."""
    rules = [_read_rule(section)]
    paths = section.section("paths")
    if paths is not None:
        found = [_read_path(paths, text, value) for text, value in paths.values.items()]
        rules += [rule for rule in found if rule is not None]
    patterns = [rule.pattern for rule in rules if rule.pattern is not None]
    for tie in find_ties(patterns):
        section.findings.problem((*section.path, "paths", tie.second.source), _tied(section, tie))
    _report_lost_claims(section, rules)
    _warn_of_cookies(section, rules)
    return EntrySettings(tuple(rules), _read_proxies(section))


def report_unreachable(
    entry: EntrySettings, known: Iterable[Pattern], *, path: KeyPath, findings: Findings
) -> None:
    """Reports tables of paths that no route has: a slip in one would leave its path open.

    Args:
        entry: of one listener.
        known: what its routes read from and send to.
        path: of its table.
        findings: where they go.
    """
    known = list(known)
    for rule in entry.rules:
        if rule.pattern is None or any(rule.pattern.overlaps(each) for each in known):
            continue
        label = ".".join(map(str, path))
        source = rule.pattern.source
        meant = did_you_mean(source, [each.source for each in known])
        findings.problem(
            (*path, "paths", source),
            f"{quoted(source)} in `paths` of [{label}]: no route reads from such a path or sends "
            f"to it{meant or '; name one that a route has, or remove it'}",
        )


def _read_path(paths: Section, text: str, value: object) -> Rule | None:
    where = f"{quoted(text)} in {paths.label}"
    paths.raw(text)
    if not isinstance(value, Mapping):
        paths.problem(text, f"{where} must be a table, not {kind_of(value)}")
        return None
    if not text.startswith("/"):
        paths.problem(text, f"{where} is no path; write {quoted('/' + text)}")
        return None
    try:
        pattern = parse_path_pattern(text)
    except AddressError as exc:
        paths.problem(text, f"{where}: {exc}")
        return None
    inner = paths.inner(value, text, label=where)
    inner.hints = HINTS
    if not value:
        paths.problem(text, f"{where} is empty; write {listed(KEYS)} into it, or remove it")
    rule = _read_rule(inner, pattern)
    inner.finish()
    return rule


def _read_rule(section: Section, pattern: Pattern | None = None) -> Rule:
    is_required = section.flag("require_origin", default=False)
    return Rule(
        pattern,
        _read_origins(section),
        is_required if pattern is None or "require_origin" in section else None,
        read_auth(section),
        read_allow(section, pattern),
    )


def _read_origins(section: Section) -> frozenset[str] | None:
    texts = section.texts("origins")
    if texts is None:
        return None
    if not texts:
        section.problem(
            "origins",
            f"`origins` of {section.label} is an empty list, which lets no page in; write origins "
            'into it, as in "https://example.org", or remove it',
        )
    found = [text if text == ANYONE else _read_origin(section, text) for text in texts]
    return frozenset(origin for origin in found if origin is not None)


def _read_origin(section: Section, text: str) -> str | None:
    found = canonical(text)
    if found is not None:
        return found
    mend = 'write scheme://host or scheme://host:port, as in "https://example.org"'
    if canonical(text.rstrip("/")) is not None:
        mend = f"write it without the / at the end, {quoted(text.rstrip('/'))}"
    elif not text.isascii():
        mend = "browsers send such a name as punycode; write it so, as in xn--bcher-kva.example"
    elif ANYONE in text:
        mend = f'write each one, or "{ANYONE}" alone for all pages of the world'
    section.problem("origins", f"`origins` of {section.label}: {quoted(text)} is no origin; {mend}")
    return None


def _read_proxies(section: Section) -> tuple[Network, ...]:
    found: list[Network] = []
    for text in section.texts("trusted_proxies") or ():
        try:
            found.append(ip_network(text))
        except ValueError:
            mend = 'write ADDRESS or ADDRESS/BITS, as in "10.0.0.0/8"'
            with suppress(ValueError):  # it may have bits beyond its mask
                mend = f'write "{ip_network(text, strict=False)}"'
            section.problem(
                "trusted_proxies",
                f"`trusted_proxies` of {section.label}: {quoted(text)} is no network; {mend}",
            )
    return tuple(found)


def _report_lost_claims(section: Section, rules: Sequence[Rule]) -> None:
    """Reports demands for a claim where nobody has a token."""
    has_tokens = any(rule.auth and rule.auth.is_needed for rule in rules)
    for rule in rules:
        if has_tokens or rule.allow is None or not needs_claims(rule.allow):
            continue
        steps: KeyPath = ()
        label = section.label
        if rule.pattern is not None:
            steps = ("paths", rule.pattern.source)
            label = f"{quoted(rule.pattern.source)} in `paths` of {label}"
        section.findings.problem(
            (*section.path, *steps, "allow"),
            f"`allow` of {label} asks for a claim, and nobody has a token; add `auth`",
        )


def _warn_of_cookies(section: Section, rules: Sequence[Rule]) -> None:
    """Says that a cookie comes with whatever page somebody visits."""
    anyone = any(ANYONE in (rule.origins or ()) for rule in rules)
    if anyone and any(rule.auth and rule.auth.cookie for rule in rules):
        section.warn(
            None,
            f'{section.label} takes tokens from a cookie and pages from "{ANYONE}": any page may '
            "act as whoever visits it; list the `origins` of your own",
        )


def _tied(section: Section, tie: Tie) -> str:
    first, second = quoted(tie.first.source), quoted(tie.second.source)
    both = f"{second} and {first} in `paths` of {section.label}"
    if not tie.meeting:
        return f"{both} are for the same paths; write one of them"
    return (
        f"{both} both fit {quoted(tie.meeting)}, and neither says more of it; add a table for "
        f"{quoted(tie.meeting)}, or make one of them narrower"
    )
