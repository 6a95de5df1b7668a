"""StackStorm's own filters of Jinja. What needs a library imports it when it is used."""

import datetime
import json
import os
import re

__all__ = ["filters"]

# What `use_none` makes of None, for whoever turns it back.
NONE_MAGIC_VALUE = "%*****__%NONE%__*****%"


def from_json_string(value):
    return json.loads(str(value))


def from_yaml_string(value):
    import yaml

    return yaml.safe_load(str(value))


def to_json_string(value, indent=None, sort_keys=False, separators=(",", ": ")):
    return json.dumps(value, indent=indent, sort_keys=bool(sort_keys), separators=separators)


def to_yaml_string(value, indent=None, allow_unicode=True):
    import yaml

    return yaml.safe_dump(
        value, default_flow_style=False, indent=indent, allow_unicode=allow_unicode
    )


def json_escape(value):
    return json.dumps(value).strip('"')


def to_complex(value):
    return json.dumps(value)


def jsonpath_query(value, query):
    import jsonpath_rw

    return [match.value for match in jsonpath_rw.parse(query).find(value)] or None


def use_none(value):
    return NONE_MAGIC_VALUE if value is None else value


def _flags(ignorecase):
    return re.IGNORECASE if ignorecase else 0


def regex_match(value, pattern, ignorecase=False):
    return re.match(pattern, str(value), _flags(ignorecase)) is not None


def regex_search(value, pattern, ignorecase=False):
    return re.search(pattern, str(value), _flags(ignorecase)) is not None


def regex_replace(value, pattern, replacement, ignorecase=False):
    return re.sub(pattern, replacement, str(value), flags=_flags(ignorecase))


def regex_substring(value, pattern, result_index=0, ignorecase=False):
    return re.findall(pattern, str(value), _flags(ignorecase))[result_index]


def to_human_time_from_seconds(seconds):
    """`3720` as `1h2m0s`; years have 365 days."""
    moment = datetime.datetime(1, 1, 1) + datetime.timedelta(seconds=int(round(seconds)))
    parts = [
        (moment.year - 1, "y"),
        (moment.timetuple().tm_yday - 1, "d"),
        (moment.hour, "h"),
        (moment.minute, "m"),
        (moment.second, "s"),
    ]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return "".join("%d%s" % part for part in parts)


def _version(value):
    import semver

    return semver.Version.parse(value)


def version_compare(value, pattern):
    return _version(value).compare(pattern)


def version_more_than(value, pattern):
    return version_compare(value, pattern) == 1


def version_less_than(value, pattern):
    return version_compare(value, pattern) == -1


def version_equal(value, pattern):
    return version_compare(value, pattern) == 0


def version_match(value, pattern):
    return _version(value).match(pattern)


def version_bump_major(value):
    return str(_version(value).bump_major())


def version_bump_minor(value):
    return str(_version(value).bump_minor())


def version_bump_patch(value):
    return str(_version(value).bump_patch())


def version_strip_patch(value):
    version = _version(value)
    return "%d.%d" % (version.major, version.minor)


def basename(path):
    return os.path.basename(path)


def dirname(path):
    return os.path.dirname(path)


def filters():
    """All filters by name."""
    known = globals()
    names = [
        "basename", "dirname", "from_json_string", "from_yaml_string", "json_escape",
        "jsonpath_query", "regex_match", "regex_replace", "regex_search", "regex_substring",
        "to_complex", "to_human_time_from_seconds", "to_json_string", "to_yaml_string", "use_none",
        "version_bump_major", "version_bump_minor", "version_bump_patch", "version_compare",
        "version_equal", "version_less_than", "version_match", "version_more_than",
        "version_strip_patch",
    ]
    return {name: known[name] for name in names}
