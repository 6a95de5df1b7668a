"""What was checked, and what came of it."""

import sys
import traceback

TEXT_MAX = 1500


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = []

    def check(self, pack, what, holds, detail=""):
        """Notes one check; true if it holds."""
        if holds:
            self.passed += 1
            print("ok    %s: %s" % (pack, what), flush=True)
        else:
            if isinstance(detail, dict) and "status" in detail and "result" in detail:
                detail = (detail["status"], detail["result"])
            self.failed.append("%s: %s" % (pack, what))
            print("FAIL  %s: %s\n      %s" % (pack, what, str(detail)[:TEXT_MAX]), flush=True)
        return bool(holds)

    def broken(self, pack, what):
        """Notes a check that could not be made, with the exception that is being handled."""
        kind, error, _ = sys.exc_info()
        traceback.print_exc()
        self.check(pack, what, False, "%s: %s" % (kind.__name__, error))

    def note(self, pack, text):
        print("      %s: %s" % (pack, text), flush=True)

    def end(self):
        for line in self.failed:
            print("failed: %s" % line)
        print("%d passed, %d failed" % (self.passed, len(self.failed)))
        return 1 if self.failed else 0
