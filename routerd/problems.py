"""What is wrong with a table, or worth knowing about it: a line and a sentence."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend, at one line.

    Attributes:
        line: 1-based line of the file; 0 when it is about the file as a whole.
        sentence: what, where, what to do.
    """

    line: int
    sentence: str

    def shown(self, file: str) -> str:
        """`FILE:LINE: sentence`, as `routerd check` prints it."""
        return f"{self.place(file)} {self.sentence}"

    def place(self, file: str) -> str:
        """`FILE:LINE:`, which editors know how to go to."""
        return f"{file}:{self.line}:" if self.line else f"{file}:"
