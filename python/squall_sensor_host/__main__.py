"""Runs a sensor. Started by the server with its end of a socket pair as standard input."""

import os
import sys

# The directory of this file is on the path because it is a script; what a pack imports must not
# be found in it. The directory above holds the libraries of the host, behind those of the pack.
_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]
sys.path.append(os.path.dirname(_HERE))

import _thread
import logging
import signal
import threading
import time
import traceback

from squall_sensor_host.channel import Channel, Disconnected, TooLarge
from squall_sensor_host.loading import LoadError, construct, load_class
from squall_sensor_host.service import SensorService
from st2reactor.sensor.base import BaseSensor, PollingSensor

_allocate_lock = _thread.allocate_lock
_start_new_thread = _thread.start_new_thread
_get_ident = _thread.get_ident
_pthread_kill = signal.pthread_kill
_exit = os._exit
_killpg = os.killpg
_sleep = time.sleep

_TEXT_MAX = 64 * 1024
_ORPHAN_GRACE_SECONDS = 5
_SIGNAL_PAUSE_SECONDS = 0.2
_GREEN_PAUSE_SECONDS = 0.5


class Stop(SystemExit):
    """Raised in the main thread when the server says stop.

    A `SystemExit`, which ``except Exception`` does not catch and green threads pass on.
    """


class ChannelHandler(logging.Handler):
    """Sends log records to the server."""

    def __init__(self, channel):
        super().__init__()
        self._channel = channel

    def emit(self, record):
        try:
            self._channel.send(
                {
                    "type": "log",
                    "level": record.levelname,
                    "logger": record.name,
                    "message": self.format(record)[:_TEXT_MAX],
                }
            )
        except (Disconnected, TooLarge):
            pass
        except Exception:
            self.handleError(record)


class Host:
    """One sensor from start to end."""

    def __init__(self, channel, start):
        self._channel = channel
        self._start = start
        self._sensor = None
        self._stopping = False
        self._main_thread = _get_ident()
        self._changes = []
        self._changes_lock = _allocate_lock()
        self._changes_signal = _allocate_lock()
        self._changes_signal.acquire()

    def run(self):
        """Returns the exit status."""
        stage = "import"
        try:
            signal.signal(signal.SIGTERM, self._on_signal)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._channel.serve(self._on_message, self._on_closed)
            start = self._start
            logger = logging.getLogger(
                "SensorWrapper.%s.%s" % (start["pack"], start["class_name"])
            )
            service = SensorService(self._channel, logger, start["pack"], start["class_name"])
            self._doing("the import of its file")
            sensor_class = load_class(start["entry_point"], start["class_name"], BaseSensor)
            stage = "construct"
            self._doing("its constructor")
            self._sensor = construct(
                sensor_class,
                PollingSensor,
                service,
                start.get("config") or {},
                start.get("poll_interval"),
            )
            stage = "setup"
            self._doing("setup()")
            self._sensor.setup()
            stage = "add_trigger"
            for trigger in start.get("triggers") or []:
                self._sensor.add_trigger(trigger=trigger)
            if _thread.start_new_thread is _start_new_thread:
                _start_new_thread(self._watch_triggers, (logger, self._changes_signal.acquire))
            else:
                # The pack's threads are green now; the sensor must be called from one of them,
                # and a green thread may not wait for a real lock.
                wait = lambda: time.sleep(_GREEN_PAUSE_SECONDS)
                threading.Thread(
                    target=self._watch_triggers, args=(logger, wait), daemon=True
                ).start()
            stage = "run"
            self._doing(None)
            if isinstance(self._sensor, PollingSensor):
                self._tell_of_polls()
            self._channel.send({"type": "ready"})
            self._sensor.run()
            self._join_threads()
            self._channel.send({"type": "finished"})
            return 0
        except Stop:
            return 0
        except SystemExit as error:
            return self._failed(stage, "it called sys.exit(%r)" % (error.code,), "")
        except LoadError as error:
            return self._failed("load", str(error), "")
        except Disconnected:
            return 1
        except BaseException as error:
            message = "%s: %s" % (type(error).__name__, error)
            return self._failed(stage, message, traceback.format_exc())
        finally:
            self._cleanup()

    def _doing(self, what):
        """Tells the server which of the pack's code is entered, or that it has returned."""
        self._channel.send({"type": "doing", "what": what})

    def _tell_of_polls(self):
        poll = self._sensor.poll

        def told():
            self._doing("poll()")
            poll()
            self._doing(None)

        self._sensor.poll = told

    def _failed(self, stage, message, details):
        try:
            self._channel.send(
                {
                    "type": "failed",
                    "stage": stage,
                    "message": message[:_TEXT_MAX],
                    "details": details[-_TEXT_MAX:],
                }
            )
        except (Disconnected, TooLarge):
            pass
        return 1

    def _cleanup(self):
        self._stopping = True
        if self._sensor is None:
            return
        try:
            self._sensor.cleanup()
        except BaseException as error:
            message = "%s: %s" % (type(error).__name__, error)
            self._failed("cleanup", message, traceback.format_exc())

    def _join_threads(self):
        """A sensor whose threads go on after `run` has returned is still running."""
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()

    def _on_signal(self, _number, _frame):
        if not self._stopping:
            self._stopping = True
            raise Stop(0)

    def _on_closed(self):
        # Without its server a sensor has nobody to talk to: it may clean up, then it goes, and
        # what it started goes with it.
        _start_new_thread(self._interrupt, ())
        _sleep(_ORPHAN_GRACE_SECONDS)
        _killpg(0, signal.SIGKILL)

    def _interrupt(self):
        # A signal that comes just before the main thread begins to sleep does not wake it.
        while not self._stopping:
            _pthread_kill(self._main_thread, signal.SIGTERM)
            _sleep(_SIGNAL_PAUSE_SECONDS)

    def _on_message(self, message):
        kind = message.get("type")
        if kind == "stop":
            _start_new_thread(self._interrupt, ())
        elif kind in ("trigger_added", "trigger_updated", "trigger_removed"):
            with self._changes_lock:
                self._changes.append(message)
                if self._changes_signal.locked():
                    self._changes_signal.release()

    def _watch_triggers(self, logger, wait):
        while True:
            wait()
            with self._changes_lock:
                changes, self._changes = self._changes, []
            for change in changes:
                sensor = self._sensor
                method = {
                    "trigger_added": sensor.add_trigger,
                    "trigger_updated": sensor.update_trigger,
                    "trigger_removed": sensor.remove_trigger,
                }[change["type"]]
                try:
                    method(trigger=change["trigger"])
                except Exception:
                    logger.exception("The sensor failed in %s", method.__name__)


def main():
    # Our own session: the server ends the sensor with everything that it started.
    try:
        os.setsid()
    except OSError:
        pass
    # Away from descriptor 0, where a pack that reads its standard input would find it.
    descriptor = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    channel = Channel(descriptor)
    start = channel.read()
    if start is None:
        return 1
    channel.message_bytes_max = start["message_bytes_max"]
    sys.path.extend(start.get("python_path") or [])
    sys.argv[:] = [start["entry_point"]]
    root = logging.getLogger()
    root.addHandler(ChannelHandler(channel))
    root.setLevel(start.get("log_level") or "INFO")
    return Host(channel, start).run()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that a pack left behind must not keep the process.
    _exit(status)
