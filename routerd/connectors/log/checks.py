"""What may stand behind `log:`."""

from collections.abc import Sequence

from routerd.checks import Endpoint, SinkFacts, SourceFacts, refuse_required
from routerd.connectors.log.settings import LogSinkSpec
from routerd.findings import quoted
from routerd.section import Section
from routerd.template import TemplateError, parse_template


class LogChecks:
    """The load-time half of the log sink."""

    connector = "log"
    table = None
    keys = ()
    main_key = ""

    def connection(self, key: str, section: Section) -> None:
        """There is none to configure."""

    def listens_on(self, settings: object) -> None:
        """It binds nothing."""

    def source(
        self, endpoints: Sequence[Endpoint], *, settings: object | None, route: str
    ) -> SourceFacts | None:
        """Nothing comes out of a log."""
        for endpoint in endpoints:
            endpoint.problem(
                f"{quoted(endpoint.text)} as `from`: nothing can be read from the log; a route "
                "reads from mqtt: or ws:"
            )
        return None

    def sink(self, endpoint: Endpoint, *, settings: object | None) -> SinkFacts | None:
        """A line, as a template; what is missing in it may be left out."""
        refuse_required(endpoint, "the log is best effort")
        endpoint.options.finish()
        if not endpoint.rest:
            endpoint.problem(f'{quoted(endpoint.text)} has no text; write "log:{{@topic}}"')
            return None
        try:
            text = parse_template(endpoint.rest)
        except TemplateError as exc:
            endpoint.problem(f"{quoted(endpoint.text)}: {exc}")
            return None
        return SinkFacts(LogSinkSpec(text), required=False, templates=(text,))
