"""The errors that cross file boundaries: what went wrong, and who can mend it.

Each is raised with a sentence that a tired operator understands: what, which, what to do.
Errors of a library are translated into these where the library is called.
"""

from typing import Literal

from routerd.problems import Problem

DropReason = Literal[
    "filtered",  # `when` did not match
    "unroutable",  # a template failed, it is not JSON where it must be, or no filter matches
    "rejected",  # a sink refused it for good
    "too_large",  # over the source's own limit
    "overloaded",  # the route had no room, and its source has no memory
    "route_restarted",  # its route fell, and its source has no memory
    "session_lost",  # its route fell, and the broker forgot our session
    "shutdown",  # still in flight at the end of the drain, and its source has no memory
]
"""Why a message was dropped: a fixed set, so that it may be a label."""


class RouterdError(Exception):
    """Any failure that routerd expects."""


class ConfigError(RouterdError):
    """The table can't be run; nothing was started.

    Attributes:
        problems: every problem that was found, in the order of their lines.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problem(s) in the routing table")
        self.problems = problems


class Unavailable(RouterdError):
    """A peer can't be used now; the same attempt may succeed later, without a person."""


class Rejected(RouterdError):
    """A peer refused what the table says; a person is needed, retrying fast is not."""


class DeliveryFailed(RouterdError):
    """One message can't go where it should.

    Attributes:
        reason: what to count it as when it is dropped for this.
    """

    def __init__(self, message: str, *, reason: DropReason = "rejected") -> None:
        super().__init__(message)
        self.reason: DropReason = reason


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The exceptions inside a group and its nested groups, which name the causes."""
    found: list[BaseException] = []
    for exc in group.exceptions:
        found += leaves(exc) if isinstance(exc, BaseExceptionGroup) else [exc]
    return found
