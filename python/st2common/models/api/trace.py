"""What an event says about the trace that it belongs to."""

__all__ = ["TraceContext"]


class TraceContext(object):
    def __init__(self, **members):
        self.id_ = members.get("id_")
        self.trace_tag = members.get("trace_tag")

    def __eq__(self, other):
        return isinstance(other, TraceContext) and vars(self) == vars(other)

    def __hash__(self):
        return hash((self.id_, self.trace_tag))
