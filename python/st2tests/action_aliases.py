"""Tests of chat aliases. Commands are read by the server's own code."""

import glob
import os

from squall_packs import program
from st2common.exceptions.content import ParseException
from st2tests.pack_resource import BasePackResourceTestCase

__all__ = ["BaseActionAliasTestCase"]


class ActionAlias(object):
    """An alias as its file has it; its members are attributes."""

    def __init__(self, pack, members):
        self.pack = pack
        self.description = None
        self.enabled = True
        self.formats = []
        self.ack = self.result = self.extra = None
        self.immutable_parameters = {}
        self.__dict__.update(members)
        self.ref = "%s.%s" % (pack, members.get("name"))

    def get_format_strings(self):
        """All forms that commands are held against."""
        strings = []
        for form in self.formats:
            form = form.get("representation", []) if isinstance(form, dict) else form
            strings.extend(form if isinstance(form, list) else [form])
        return strings


def extract_parameters(format_str, param_stream):
    """The parameters of a command by one format; `ParseException` if it does not fit."""
    try:
        return program.read_command(format_str, param_stream)
    except program.Refused as refused:
        raise ParseException(str(refused)) from None


class BaseActionAliasTestCase(BasePackResourceTestCase):
    """A test of the alias `action_alias_name`, which is in `action_alias_db`."""

    action_alias_name = None
    action_alias_db = None

    def setUp(self):
        super().setUp()
        if not self.action_alias_name:
            raise ValueError("the test's class needs an `action_alias_name`")
        self.action_alias_db = self._get_action_alias_db_by_name(self.action_alias_name)

    def assertCommandMatchesExactlyOneFormatString(self, format_strings, command):
        matching = []
        for format_string in format_strings:
            try:
                extract_parameters(format_str=format_string, param_stream=command)
            except ParseException:
                continue
            matching.append(format_string)
        if len(matching) != 1:
            found = ", ".join(matching) or "none"
            raise AssertionError(
                'the command "%s" fits %d formats, not one: %s' % (command, len(matching), found)
            )

    def assertExtractedParametersMatch(self, format_string, command, parameters):
        extracted = extract_parameters(format_str=format_string, param_stream=command)
        extracted.update(self.action_alias_db.immutable_parameters or {})
        self.assertEqual(
            extracted, parameters, 'the command "%s" by "%s"' % (command, format_string)
        )

    def _get_action_alias_db_by_name(self, name):
        base = self._get_base_pack_path()
        pack = os.path.basename(base)
        manifest = os.path.join(base, "pack.yaml")
        if os.path.isfile(manifest):
            metadata = program.read_yaml(manifest)
            pack = metadata.get("ref") or metadata.get("name") or pack
        for path in sorted(glob.glob(os.path.join(base, "aliases", "*.y*ml"))):
            members = program.read_yaml(path)
            if members.get("name") == name:
                return ActionAlias(pack, members)
        raise ValueError('no file in `aliases` has the name "%s"' % name)
