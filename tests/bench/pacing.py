"""When messages of a steady stream are due: at random moments, as devices have it."""

import random
import time


class Schedule:
    """`count` moments at `rate` a second on average, exponentially apart; the same every time."""

    def __init__(self, count: int, rate: float) -> None:
        chance = random.Random(500)
        self._due = time.monotonic()
        self._gaps = [chance.expovariate(rate) for _ in range(count)]
        self._due += self._gaps[0]
        self._taken = 0

    @property
    def is_over(self) -> bool:
        """Whether all moments have been taken."""
        return self._taken == len(self._gaps)

    def take_if_due(self) -> bool:
        """Whether one more message is due now."""
        if self.is_over or time.monotonic() < self._due:
            return False
        self._taken += 1
        if not self.is_over:
            self._due += self._gaps[self._taken]
        return True

    def wait(self, at_most: float) -> float:
        """Seconds until the next moment, or `at_most` if that is less or there is none."""
        if self.is_over:
            return at_most
        return max(0.0, min(at_most, self._due - time.monotonic()))
