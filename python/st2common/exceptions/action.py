"""Errors that actions raise."""

__all__ = ["InvalidActionParameterException", "ParameterRenderingFailedException"]


class InvalidActionParameterException(Exception):
    """A parameter has a value that the action can't use."""


class ParameterRenderingFailedException(Exception):
    """A template in a parameter could not be rendered."""
