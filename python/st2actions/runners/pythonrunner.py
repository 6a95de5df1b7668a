"""The old place of what Python actions inherit from."""

from st2common.runners.base_action import Action

__all__ = ["Action"]
