"""The contract between the reader of the routing table and a connector: its load-time half.

A connector's checks know what may stand in its connection's table and behind its schemes.
They report mistakes to the `Section` they were handed, go on after each, and touch no network.
What they return is what the connector's run-time half is opened with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from routerd.address import Pattern
from routerd.findings import Findings, KeyPath, quoted
from routerd.section import Section
from routerd.template import Template, TemplateError, parse_template


@dataclass(frozen=True)
class Endpoint:
    """One address of a route.

    Attributes:
        text: the whole address as written.
        scheme: in front of the first `:`, without the connection's name.
        connection: the key of its connection, e.g. `kafka.audit`.
        rest: behind the first `:`.
        options: the table form, `address` being read already; empty for a plain address.
        path: where the address stands in the file.
    """

    text: str
    scheme: str
    connection: str
    rest: str
    options: Section
    path: KeyPath

    def problem(self, sentence: str) -> None:
        """Records a problem with the address itself."""
        self.options.findings.problem(self.path, sentence)

    def warn(self, sentence: str) -> None:
        """Records a warning about the address itself."""
        self.options.findings.warn(self.path, sentence)

    def line(self, key: str | None = None) -> int:
        """The line of the address, or of a key of its table form."""
        if key is not None and key in self.options:
            return self.options.line(key)
        return self.options.findings.line_of(self.path)

    def template(self, text: str) -> Template | None:
        """A template in the address, which must come to something; None if it is wrong."""
        try:
            template = parse_template(text)
        except TemplateError as exc:
            self.problem(f"{quoted(self.text)}: {exc}")
            return None
        return template if self.insist(template) else None

    def insist(self, *templates: Template) -> bool:
        """Refuses `{.x?}`: an address can't do without a part of it."""
        references = (one for template in templates for one in template.references)
        optional = next((one for one in references if one.optional), None)
        if optional is not None:
            self.problem(
                f"{quoted(self.text)}: an address can't leave `{{{optional}}}` out; "
                "remove the `?`, then a message without it is an error of the route"
            )
        return optional is None


@dataclass(frozen=True)
class Weakness:
    """Why a route may lose a message, or give one twice.

    Attributes:
        name: in a promise: `QoS 0`.
        mend: for an author who counts on more: what breaks it, where, what to do.
    """

    name: str
    mend: str


@dataclass(frozen=True)
class Session:
    """What a peer keeps for one route; two routes with one session throw each other out.

    Attributes:
        peer: whose session it is, e.g. `broker.example:8883`.
        kept_for: seconds; None if the peer alone decides.
    """

    name: str
    peer: str
    kept_for: int | None


@dataclass(frozen=True)
class SourceFacts:
    """A route's input, checked.

    Attributes:
        spec: for the connector's `open_source`.
        patterns: the addresses as patterns; captures come from them.
        metadata: names of the references `{@name}` that its messages have.
        hidden: references among them that never have a value, since a token may stand there.
        has_types: whether each message has a type of its connection's wire format.
        losses: why a message may be lost; empty if it is given again until acknowledged.
        repeats: why a message may come twice.
        exceptions: which of its messages may be lost all the same, in a promise.
        is_told: whether each message is given again until its sender is told what became of it:
            then what is refused for good is lost to nobody's surprise.
        confirmation: what acknowledging is called here, e.g. `PUBACK`.
        rests_on: what the promise rests on at the peer, each a sentence.
        hints: how it could promise more, each a sentence.
    """

    spec: object
    patterns: tuple[Pattern, ...]
    metadata: frozenset[str]
    hidden: frozenset[tuple[str, ...]] = frozenset()
    has_types: bool = False
    losses: tuple[Weakness, ...] = ()
    repeats: tuple[Weakness, ...] = ()
    exceptions: tuple[Weakness, ...] = ()
    is_told: bool = False
    confirmation: str = ""
    session: Session | None = None
    rests_on: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Terms:
    """What a sink says of places where sinks of other routes may send to as well.

    All that can reach the same place must say the same.

    Attributes:
        places: that its address can come to.
        noun: one of them, in sentences.
        key: of the sink's table form.
        value: of that key, or its default.
        is_default: whether that is what it is without the key.
    """

    places: Pattern
    noun: str
    key: str
    value: str
    is_default: bool

    def __str__(self) -> str:
        said = f'{self.key} = "{self.value}"'
        return f"{said} by default" if self.is_default else said


@dataclass(frozen=True)
class SinkFacts:
    """One output of a route, checked.

    Attributes:
        spec: for the connector's `open_sink`.
        templates: whose references the source must have.
        takes_records: whether `key` and `headers` mean something there.
        needs_key: the setting that makes nothing of it without a `key`; empty if there is none.
        terms: what other sinks have to agree with, if there is such a thing.
        needs_type: whether it can't send a message that has no type.
        replies: whether it answers clients of its own connection, and so takes only their messages.
        takes_slashes: whether its templates may come to several levels, with a / between them.
        losses: why what it confirmed may be lost.
        disorders: why it may repeat messages, or change their order.
    """

    spec: object
    required: bool
    templates: tuple[Template, ...]
    takes_records: bool = False
    needs_key: str = ""
    terms: Terms | None = None
    needs_type: bool = False
    replies: bool = False
    takes_slashes: bool = True
    losses: tuple[Weakness, ...] = ()
    disorders: tuple[Weakness, ...] = ()


def report_overlaps(
    inputs: Sequence[tuple[Endpoint, Pattern]], *, kinds: Sequence[object] = ()
) -> None:
    """Reports addresses of one `from` that take the same message, which could come twice.

    Args:
        inputs: each address with its pattern.
        kinds: the kind of messages that each of them takes, None: any; without them all of them.
    """
    kinds = kinds or [None] * len(inputs)
    for index, (endpoint, pattern) in enumerate(inputs):
        for earlier_index, (other, earlier) in enumerate(inputs[:index]):
            both = {kinds[index], kinds[earlier_index]}
            if (None in both or len(both) == 1) and pattern.overlaps(earlier):
                endpoint.problem(
                    f"{quoted(endpoint.text)} overlaps {quoted(other.text)} of the same route, "
                    "which would get some messages twice; make one of them narrower, or a route "
                    "of its own"
                )
                break


def refuse_required(endpoint: Endpoint, reason: str) -> None:
    """Reads `required` of a sink that nobody can wait for."""
    if endpoint.options.flag("required", default=False):
        endpoint.options.problem(
            "required",
            f"{quoted(endpoint.text)} can't be required: {reason}, and nothing can wait for it; "
            "remove `required`",
        )


class Checks(Protocol):
    """One connector's part of the routing table."""

    @property
    def connector(self) -> str:
        """Its key in the table of connectors."""

    @property
    def table(self) -> str | None:
        """The name of its connections' tables; None if it needs no connection."""

    @property
    def keys(self) -> Sequence[str]:
        """All keys of its connections' tables."""

    @property
    def main_key(self) -> str:
        """The key that each of its connections must have, with an example: `url = "..."`."""

    def connection(self, key: str, section: Section) -> object | None:
        """What `[mqtt]` or `[mqtt.plant]` says, checked. None if nothing useful came of it."""

    def listens_on(self, settings: object) -> tuple[str, int] | None:
        """Host and port that a connection binds; None if it binds nothing."""

    def source(
        self, endpoints: Sequence[Endpoint], *, settings: object | None, route: str
    ) -> SourceFacts | None:
        """A route's `from`, all of one connection; None if it can't be used.

        Args:
            endpoints: at least one, in the order of the file.
            settings: of the connection; None if that is wrong or missing.
            route: the route's name.
        """

    def sink(self, endpoint: Endpoint, *, settings: object | None) -> SinkFacts | None:
        """One of a route's `to`; None if it can't be used."""


@runtime_checkable
class Reviews(Protocol):
    """Of those `Checks` whose connections' tables speak of what routes use."""

    def review(
        self, settings: object, specs: Sequence[object], *, path: KeyPath, findings: Findings
    ) -> None:
        """Reports what a connection's table says that no route has anything of.

        Args:
            settings: of one connection.
            specs: what the checks made of every `from` and `to` of it.
            path: of its table.
            findings: where problems go.
        """
