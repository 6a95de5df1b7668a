"""Tests of anything in a pack."""

import inspect
import os
import unittest

__all__ = ["BasePackResourceTestCase"]


class BasePackResourceTestCase(unittest.TestCase):
    """Knows where the pack is: the directory above the one with the test's file."""

    def get_fixture_content(self, fixture_path):
        """The text of a file below `tests/fixtures`."""
        path = os.path.join(self._get_base_pack_path(), "tests", "fixtures", fixture_path)
        with open(path) as file:
            return file.read()

    def _get_base_pack_path(self):
        tests = os.path.dirname(os.path.abspath(inspect.getfile(type(self))))
        return os.path.dirname(tests)
