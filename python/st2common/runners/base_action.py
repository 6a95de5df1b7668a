"""What Python actions inherit from."""

import abc

from st2common.runners.utils import PackConfigDict, get_logger_for_python_runner_action

__all__ = ["Action"]


class Action(abc.ABC):
    """An action: a `run` method, with the pack's configuration and a logger at hand."""

    description = None

    def __init__(self, config=None, action_service=None):
        wrapper = getattr(action_service, "_action_wrapper", None)
        self.action_service = action_service
        self.config = PackConfigDict(getattr(wrapper, "_pack", "unknown"), config or {})
        self.logger = get_logger_for_python_runner_action(
            action_name=type(self).__name__,
            log_level=getattr(wrapper, "_log_level", "debug"),
        )

    @abc.abstractmethod
    def run(self, **kwargs):
        pass
