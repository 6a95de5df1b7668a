"""An action is a class with a method `run`; what it returns is the result."""

import math

from st2common.runners.base_action import Action


class IsPrime(Action):
    def run(self, number):
        # What is logged goes to standard error, and is part of the execution's output.
        self.logger.debug("looking for divisors of %d", number)
        if number < 2:
            return False
        return all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
