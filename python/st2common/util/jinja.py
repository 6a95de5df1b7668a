"""Jinja as StackStorm sets it up, with the library that the pack or the server's environment has."""

import json

from st2common.util.jinja_filters import filters

__all__ = ["get_jinja_environment", "is_jinja_expression", "render_values"]


def get_jinja_environment(allow_undefined=False, trim_blocks=True, lstrip_blocks=True):
    """A sandboxed environment with StackStorm's filters, except those that open secrets."""
    import jinja2
    import jinja2.sandbox

    environment = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.Undefined if allow_undefined else jinja2.StrictUndefined,
        trim_blocks=trim_blocks,
        lstrip_blocks=lstrip_blocks,
    )
    environment.filters.update(filters())
    environment.tests["in"] = lambda item, items: item in items
    return environment


def render_values(mapping=None, context=None, allow_undefined=False):
    """`mapping` with its values rendered; what holds no template keeps its type."""
    if not mapping or not context:
        return mapping
    variables = dict({"__context": context}, **context)
    environment = get_jinja_environment(allow_undefined=allow_undefined)
    rendered = {}
    for key, value in mapping.items():
        is_nested = isinstance(value, (dict, list))
        template = json.dumps(value) if is_nested else str(value)
        try:
            text = environment.from_string(template).render(variables)
        except Exception as error:
            # Whoever catches it looks for the culprit here.
            error.key, error.value = key, template
            raise
        if text == template:
            rendered[key] = value
        else:
            rendered[key] = json.loads(text) if is_nested else text
    return rendered


def is_jinja_expression(value):
    """Whether `value` is a text with a template in it."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)
