"""Dates and times as texts, always in UTC."""

import datetime
import re

__all__ = ["format", "parse", "validate"]

FORMAT = re.compile(
    r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00|\+0000|\+00:00)?$"
)


def _in_utc(moment):
    if moment.tzinfo is None:
        return moment.replace(tzinfo=datetime.timezone.utc)
    return moment.astimezone(datetime.timezone.utc)


def format(dt, usec=True, offset=True):
    """`2026-01-31T12:00:00.000000Z`; also from seconds or nanoseconds since 1970."""
    if isinstance(dt, (int, float)):
        seconds = dt / 1e9 if dt >= 1e15 else dt
        dt = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    text = _in_utc(dt).strftime("%Y-%m-%dT%H:%M:%S.%f" if usec else "%Y-%m-%dT%H:%M:%S")
    return text + "Z" if offset else text


def validate(value, raise_exception=True):
    """Whether `value` is a date, or the text of one."""
    if isinstance(value, datetime.datetime) or FORMAT.match(str(value)):
        return True
    if raise_exception:
        raise ValueError("Invalid ISO date/time value: %s" % value)
    return False


def parse(value, preserve_original_tz=False):
    """The moment that a text names; without a zone it is UTC."""
    validate(value)
    if isinstance(value, datetime.datetime):
        return value if preserve_original_tz else _in_utc(value)
    text = re.sub(r"(Z|\+00|\+0000|\+00:00)$", "", str(value)).replace(" ", "T")
    pattern = "%Y-%m-%dT%H:%M:%S.%f" if "." in text else "%Y-%m-%dT%H:%M:%S"
    return datetime.datetime.strptime(text, pattern).replace(tzinfo=datetime.timezone.utc)
