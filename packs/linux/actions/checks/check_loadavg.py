#!/usr/bin/env python3
"""Prints the load average of this host, divided by the number of its processors.

Runs on other hosts, by whatever Python 3 they have, so it needs nothing but that.
"""

import json
import os
import sys


def main(period="all"):
    processors = os.cpu_count() or 1
    loads = (load / processors for load in os.getloadavg())
    averages = dict(zip(("1", "5", "15"), loads))
    print(json.dumps(averages.get(period, averages)))


main(*sys.argv[1:2])
