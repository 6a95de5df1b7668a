"""Errors in what packs hold."""

__all__ = ["ParseException"]


class ParseException(ValueError):
    """A text does not have the form that it should have."""
