"""The standard library's logging, with StackStorm's level AUDIT."""

import logging
from logging import (  # noqa: F401
    CRITICAL, DEBUG, ERROR, INFO, NOTSET, WARNING, FileHandler, Filter, Formatter, Handler, Logger,
    LoggerAdapter, LogRecord, StreamHandler, basicConfig, critical, debug, error, exception,
    getLevelName, info, log, warning,
)

__all__ = ["AUDIT", "getLogger"]

AUDIT = logging.AUDIT = CRITICAL + 10
logging.addLevelName(AUDIT, "AUDIT")


def _audit(self, message, *args, **kwargs):
    if self.isEnabledFor(AUDIT):
        self._log(AUDIT, message, args, **kwargs)


logging.Logger.audit = _audit


def getLogger(name=None):
    return logging.getLogger(name)
