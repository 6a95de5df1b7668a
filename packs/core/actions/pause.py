"""Waits for a fixed or a random time."""

import random as chance
import time

from st2common.runners.base_action import Action


class Pause(Action):
    def run(self, max_pause, random=False):
        seconds = chance.randint(1, max(1, int(max_pause))) if random else max_pause
        time.sleep(max(0, seconds))
        return seconds
