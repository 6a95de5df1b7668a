"""Green threads for whoever asks for them."""

__all__ = ["monkey_patch"]


def monkey_patch():
    """Has eventlet replace the blocking parts of the standard library."""
    import eventlet

    eventlet.monkey_patch(os=True, select=True, socket=True, thread=True, time=True)
