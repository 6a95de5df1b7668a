"""The present."""

import datetime

__all__ = ["get_datetime_utc_now"]


def get_datetime_utc_now():
    return datetime.datetime.now(datetime.timezone.utc)
