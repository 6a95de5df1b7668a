#!/usr/bin/env python3
import collections
import json
import sys

parameters = json.loads(sys.stdin.readline())["parameters"]
words = parameters["text"].lower().split()
if not words:
    print(json.dumps({"type": "result", "status": "failed", "result": "the text has no words"}))
    sys.exit(0)
print("%d words" % len(words))
counts = dict(collections.Counter(words).most_common())
print(json.dumps({"type": "result", "result": counts}))
