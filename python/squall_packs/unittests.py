"""Finds the tests of a pack and runs them, in the environment that was built for them."""

import json
import os
import sys
import unittest

NONE_FOUND = 5


def every(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from every(test)
        else:
            yield test


def find(pack):
    """All tests. A package `tests` is known by that name, so that what lies beside its tests does
    not stand before what lies beside the actions; else the tests import each other first."""
    tests = os.path.join(pack, "tests")
    is_package = os.path.isfile(os.path.join(tests, "__init__.py"))
    top = pack if is_package else tests
    sys.path.insert(0, top)
    if is_package:
        sys.path.append(tests)
    return unittest.TestLoader().discover(tests, pattern="test*.py", top_level_dir=top)


def main():
    plan = json.loads(sys.argv[1])
    sys.argv[:] = ["squall pack test"]
    # The command line put this file's package on the path, where tests must not find it.
    sys.path[:] = [path for path in sys.path if path not in ("", os.getcwd())]
    chosen = unittest.TestSuite(
        test for test in every(find(plan["pack"]))
        # Both pytest and nose leave out what says so: base classes that every file imports.
        if getattr(test, "__test__", True)
        and (not plan["only"] or any(part in test.id() for part in plan["only"]))
    )
    count = chosen.countTestCases()
    if not count:
        print("no test was found", file=sys.stderr)
        return NONE_FOUND
    runner = unittest.TextTestRunner(verbosity=2 if plan["verbose"] else 1)
    result = runner.run(chosen)
    bad = [test for test, _ in result.failures + result.errors] + result.unexpectedSuccesses
    # A test may fail twice, by itself and as it cleans up.
    failed = len({test.id() for test in bad})
    skipped = len(result.skipped)
    passed = max(result.testsRun - failed - skipped, 0)
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
