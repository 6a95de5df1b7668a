"""The load average, divided by the number of processors."""

import os

from st2common.runners.base_action import Action


class CheckLoadavg(Action):
    def run(self, period="all"):
        processors = os.cpu_count() or 1
        loads = (load / processors for load in os.getloadavg())
        averages = dict(zip(("1", "5", "15"), loads))
        return averages if period == "all" else averages[period]
