"""Times the reference implementations of YAQL and Jinja on fixed expressions.

Prints one line per measurement: name, tab, seconds of CPU per evaluation (the best of five rounds).
The first line tells the versions.
"""

import importlib.metadata
import platform

import time

import jinja2.sandbox
import yaql
from yaql.language import factory

ITEMS = [{"name": f"vm{n}", "cpu": n % 16, "up": n % 3 == 0} for n in range(1000)]
DATA = {"x": 1, "vms": ITEMS}


def measure(name, rounds, work):
    for _ in range(rounds // 10 + 1):
        work()
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(rounds):
            work()
        best = min(best, (time.process_time() - start) / rounds)
    print(f"{name}\t{best:.9f}", flush=True)


def measure_yaql():
    options = {"yaql.convertTuplesToLists": True, "yaql.convertSetsToLists": False}
    engine = factory.YaqlFactory().create(options)
    root = yaql.create_context()
    root.register_function(lambda: DATA, name="ctx")
    for text, rounds in (
        ("ctx().x", 500),
        ("ctx().vms.where($.up).select($.name)", 3),
    ):
        parsed = engine(text)
        measure(
            f"<% {text} %>", rounds, lambda: parsed.evaluate(context=root.create_child_context())
        )
        measure(
            f"<% {text} %>  (parsed each time)",
            rounds,
            lambda: engine(text).evaluate(context=root.create_child_context()),
        )


def measure_jinja():
    environment = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, cache_size=0
    )
    environment.globals["ctx"] = lambda: DATA
    for text, rounds in (
        ("ctx().x", 2000),
        ("ctx().vms | selectattr('up') | map(attribute='name') | list", 100),
    ):
        compiled = environment.compile_expression(text)
        measure(f"{{{{ {text} }}}}", rounds, compiled)
        measure(
            f"{{{{ {text} }}}}  (parsed each time)",
            max(rounds // 50, 3),
            lambda: environment.compile_expression(text)(),
        )
    source = "{{ x }}" * 10
    template = environment.from_string(source)
    measure("a template of ten expressions", 2000, lambda: template.render(DATA))
    measure(
        "a template of ten expressions  (parsed each time)",
        50,
        lambda: environment.from_string(source).render(DATA),
    )


versions = " and ".join(f"{name} {importlib.metadata.version(name)}" for name in ("yaql", "Jinja2"))
print(f"{versions} on {platform.python_implementation()} {platform.python_version()}", flush=True)
measure_yaql()
measure_jinja()
