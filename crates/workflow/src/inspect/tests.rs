use expect_test::{Expect, expect};

use super::*;

/// What people see of the findings about a workflow.
#[track_caller]
fn check(text: &str, expected: Expect) {
    let surroundings = Surroundings {
        known: BTreeSet::from([Str::from("st2")]),
        actions: Some(&Registry),
        ..Surroundings::default()
    };
    let inspection = inspect(text, &Expressions::default(), &surroundings);
    let shown: String = inspection
        .diagnostics()
        .iter()
        .map(|diagnostic| format!("{diagnostic} @ {}\n", diagnostic.path))
        .collect();
    expected.assert_eq(&shown);
}

struct Registry;

impl Actions for Registry {
    fn contract(&self, reference: &str) -> Option<ActionContract> {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        match reference {
            "core.noop" => Some(ActionContract::default()),
            "core.local" => Some(ActionContract {
                required: names(&["cmd"]),
                known: names(&["cmd", "timeout", "cwd"]),
            }),
            _ => None,
        }
    }

    fn references(&self) -> Vec<String> {
        vec!["core.local".to_owned(), "core.noop".to_owned()]
    }
}

#[test]
fn a_sound_workflow_has_no_findings() {
    check(
        "version: 1.0\ntasks:\n  a:\n    action: core.local cmd=\"date\"\n    next:\n      - do: b\n  b:\n    action: core.noop\n",
        expect![""],
    );
}

#[test]
fn near_misses_are_suggested() {
    check(
        "version: 1.0\ntasks:\n  build:\n    acton: core.noop\n    next:\n      - when: <% succeeded() %>\n        do: [deplyo, fial]\n  deploy:\n    action: core.lokal\n",
        expect![[r#"
            4:5: error: Additional properties are not allowed ('acton' was unexpected) (did you mean `action`?) @ tasks.build
            7:13: error: The task "deplyo" is not defined. (did you mean `deploy`?) @ tasks.build.next[0].do
            7:13: error: The task "fial" is not defined. (did you mean `fail`?) @ tasks.build.next[0].do
            9:13: error: The action "core.lokal" is not registered in the database. (did you mean `core.local`?) @ tasks.deploy.action
        "#]],
    );
}

#[test]
fn calls_are_held_against_the_contract() {
    check(
        "version: 1.0\ntasks:\n  a:\n    action: core.local\n    input:\n      cmdd: date\n  b:\n    action: core_local\n  c:\n    action: <% st2.x %>\n",
        expect![[r#"
            6:7: error: Action "core.local" has unexpected input "cmdd". (did you mean `cmd`?) @ tasks.a.input.cmdd
            6:7: error: Action "core.local" is missing required input "cmd". @ tasks.a.input
            8:13: error: The action reference "core_local" is not formatted correctly. (write `pack.action`) @ tasks.b.action
        "#]],
    );
}

#[test]
fn what_the_reference_engine_overlooks_is_a_warning() {
    check(
        "version: 1.0\ntasks:\n  a:\n    action: core.noop\n    retry: {count: many, when: always}\n    next:\n      - do: j\n  j:\n    join: 2\n    action: core.noop\n  x:\n    action: core.noop\n    next:\n      - do: [y, nowhere]\n  y:\n    with: <% 'abc' %>\n    action: core.noop\n    next:\n      - do: x\n",
        expect![[r#"
            5:13: warning: the retry's `count` is 'many', a whole number is needed @ tasks.a.retry.count
            5:26: warning: `always` is no expression, so this `when` is always true (write <% failed() %> or leave it out) @ tasks.a.retry.when
            9:5: warning: the join `j` waits for 2 tasks, but only 1 lead to it: it is never met (write `join: all` or a smaller number) @ tasks.j.join
            11:3: warning: the task `x` can't be reached: it is in a loop without entry (let a task that can be reached lead to it) @ tasks.x
            14:9: warning: the task `nowhere` is not defined @ tasks.x.next[0].do
            15:3: warning: the task `y` can't be reached: it is in a loop without entry (let a task that can be reached lead to it) @ tasks.y
            16:11: warning: the items of `y` are 'abc', which is not a list (give a list, such as <% list(1, 2) %>) @ tasks.y.with.items
        "#]],
    );
}

#[test]
fn functions_that_are_not_there_are_a_warning() {
    check(
        "version: 1.0\nvars: [{a: [1]}]\ntasks:\n  a:\n    action: core.noop\n    next:\n      - when: <% succeded() and ctx().a.selct($ + 1).len() > 0 %>\n        publish: [{b: \"<% def(mine, $ + 1) -> mine(2) %>\"}, {c: \"<% [1, 2].where($ > 1).first() %>\"}, {d: <% frobnicate() %>}]\n",
        expect![[r#"
            7:9: warning: there is no function `selct`, in `<% succeded() and ctx().a.selct($ + 1).len() > 0 %>` (did you mean `select`?) @ tasks.a.next[0].when
            7:9: warning: there is no function `succeded`, in `<% succeded() and ctx().a.selct($ + 1).len() > 0 %>` (did you mean `succeeded`?) @ tasks.a.next[0].when
            8:9: warning: there is no function `frobnicate`, in `<% frobnicate() %>` @ tasks.a.next[0].publish
        "#]],
    );
}

#[test]
fn values_in_a_line_that_are_not_read_are_a_warning() {
    check(
        "version: 1.0\ntasks:\n  a:\n    action: core.local cmd=/bin/true\n    next:\n      - publish: x=<% ctx().y %> y=\"a=b c=d\" z=three n=3\n  b:\n    action: core.local cmd=\"a=b\" timeout=sixty\n  c:\n    action: <% 'core.noop' + str(1=1) %>\n",
        expect![[r#"
            4:5: warning: `cmd=/bin/true` sets nothing: a text needs quotes here (write cmd="/bin/true") @ tasks.a.action
            4:13: error: The action "core.local cmd=/bin/true" is not registered in the database. (install or register its pack) @ tasks.a.action
            6:9: warning: `z=three` sets nothing: a text needs quotes here (write z="three") @ tasks.a.next[0].publish
            6:20: error: Variable "y" is referenced before assignment in `<% ctx().y %>` @ tasks.a.next[0].publish[0]
            8:5: warning: `timeout=sixty` sets nothing: a text needs quotes here (write timeout="sixty") @ tasks.b.action
            10:13: error: The action reference "<%" is not formatted correctly. (write `pack.action`) @ tasks.c.action
        "#]],
    );
}

#[test]
fn what_is_no_workflow_is_refused_part_by_part() {
    for text in ["", "[a]", "text", "a: [", "version: 1.0\nversion: 1.0\n"] {
        let inspection = inspect(text, &Expressions::default(), &Surroundings::default());
        assert!(inspection.is_refused(), "{text:?}");
    }
    check(
        "version: 1.0\ntasks:\n  my-task:\n    action: core.noop\n  b:\n  c:\n    next: {do: b}\n    with: [1]\n",
        expect![[r#"
            3:3: error: the task name `my-task` has other characters than letters, digits and `_` (rename the task) @ tasks.my-task
            5:3: error: the task `b` is empty (give it an `action`, or `action: core.noop` to do nothing) @ tasks.b
            5:4: error: None is not of type 'object' @ tasks.b
            6:3: error: The action property is required for with items task. (add `action: core.noop` if nothing is to be done per item) @ tasks.c
            7:5: error: `next` is a list of transitions, this is a mapping (begin each transition with `- `) @ tasks.c.next
            7:11: error: {'do': 'b'} is not of type 'array' @ tasks.c.next
            8:5: error: `with` is a list, not a mapping (write its parts below it, one per line) @ tasks.c.with
            8:11: error: [1] is not of type 'object' @ tasks.c.with
        "#]],
    );
}

#[test]
fn programs_get_the_shape_that_they_know() {
    let text = "version: 1.0\ntasks:\n  noop:\n    action: core.noop\n    extra: 1\n";
    let inspection = inspect(text, &Expressions::default(), &Surroundings::default());
    let schema = r"properties.tasks.patternProperties.^\\w+$";
    let message = "The task name \\\"noop\\\" is reserved with special function.";
    let extra = "Additional properties are not allowed ('extra' was unexpected)";
    assert_eq!(
        inspection.to_value().to_json(),
        format!(
            r#"{{"syntax":[{{"message":"{extra}","spec_path":"tasks.noop","schema_path":"{schema}.additionalProperties"}}],"semantics":[{{"message":"{message}","spec_path":"tasks.noop","schema_path":"{schema}"}}]}}"#
        )
    );
    assert_eq!(
        inspection.to_list().to_json(),
        format!(
            r#"[{{"type":"semantic","message":"{message}","spec_path":"tasks.noop","schema_path":"{schema}"}},{{"type":"syntax","message":"{extra}","spec_path":"tasks.noop","schema_path":"{schema}.additionalProperties"}}]"#
        )
    );
}

#[test]
fn branching_without_bound_ends() {
    let mut text = String::from("version: 1.0\nvars:\n  - v: 1\ntasks:\n");
    for level in 0..60 {
        let next = level + 1;
        text += &format!(
            "  t{level}:\n    join: all\n    action: core.noop\n    next:\n      - do: t{next}\n        publish: a{level}=1\n      - do: t{next}\n        publish: b{level}=1\n"
        );
    }
    text += "  t60:\n    action: core.noop\n";
    let inspection = inspect(&text, &Expressions::default(), &Surroundings::default());
    assert!(
        inspection
            .warnings
            .iter()
            .any(|warning| warning.message.contains("too often"))
    );
}

#[track_caller]
fn check_chain(text: &str, expected: Expect) {
    let surroundings = Surroundings {
        actions: Some(&Registry),
        ..Surroundings::default()
    };
    let inspection = inspect_chain(text, &Expressions::default(), &surroundings);
    let shown: String = inspection
        .diagnostics()
        .iter()
        .map(|diagnostic| format!("{diagnostic} @ {}\n", diagnostic.path))
        .collect();
    expected.assert_eq(&shown);
}

#[test]
fn sound_chains_have_no_findings() {
    check_chain(
        "chain:\n  - name: a\n    ref: core.local\n    parameters: {cmd: '{{ x }}'}\n    on-success: b\n  - name: b\n    ref: core.noop\n    on-success: ''\ndefault: a\nvars: {x: 1}\n",
        expect![""],
    );
}

#[test]
fn chains_are_inspected() {
    check_chain(
        "chain:\n  - name: first\n    ref: core.local\n    params: {cmd: '{{ x'}\n    on-success: secnd\n    on_failure: x\n  - name: second\n    ref: core.lokal\n    extra: 1\n  - ref: core.noop\n  - name: island\n    ref: core.noop\n    params: {a: 1}\n    parameters: {b: '{{ x | }}'}\ndefault: frist\n",
        expect![[r#"
            2:5: warning: the node `first` can't be reached: nothing leads to it (name it in `on-success` or `on-failure` of another node) @ chain[0].name
            4:20: error: unexpected end of template, expected 'end of print statement' in `{{ x` @ chain[0].params
            5:17: error: Unable to find node with name "secnd" referenced in "on-success" in task "first". (did you mean `second`?) @ chain[0].on-success
            6:5: error: Additional properties are not allowed ('on_failure' was unexpected) (did you mean `on-failure`?) @ chain[0]
            7:5: warning: Additional properties are not allowed ('extra' was unexpected) @ chain[1]
            7:5: warning: the node `second` can't be reached: nothing leads to it (name it in `on-success` or `on-failure` of another node) @ chain[1].name
            8:10: error: The action "core.lokal" is not registered in the database. (did you mean `core.local`?) @ chain[1].ref
            10:5: error: 'name' is a required property @ chain[2]
            11:5: warning: the node `island` can't be reached: nothing leads to it (name it in `on-success` or `on-failure` of another node) @ chain[3].name
            13:5: error: Either "params" or "parameters" attribute needs to be provided, but not both @ chain[3].params
            14:18: error: Action "core.noop" has unexpected input "b". @ chain[3].parameters.b
            14:22: error: expected token 'name', got 'end of print statement' in `{{ x | }}` @ chain[3].parameters
            15:10: error: Unable to find node with name "frist" referenced in "default". (did you mean `first`?) @ default
        "#]],
    );
    check_chain(
        "chain: []\n",
        expect![[r#"
        1:8: error: Failed to find default node: the chain is empty @ chain
    "#]],
    );
    check_chain(
        "[]\n",
        expect![[r#"
        1:1: error: [] is not of type 'object' @ 
    "#]],
    );
    check_chain(
        "chain: {a: b}\n",
        expect![[r#"
            1:8: error: {'a': 'b'} is not of type 'array' @ chain
        "#]],
    );
}

/// A small generator of numbers, so that failures can be repeated (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("the remainder is below a usize")
    }
}

const PIECES: &[&str] = &[
    "\n",
    "  ",
    ": ",
    "- ",
    "a",
    "b",
    "tasks",
    "next",
    "do",
    "with",
    "items",
    "retry",
    "join",
    "all",
    "when",
    "publish",
    "input",
    "vars",
    "<% ctx().a %>",
    "{{ ctx('b') }}",
    "<%",
    "%>",
    "{{",
    "}}",
    "[",
    "]",
    "{",
    "}",
    "'",
    "1",
    "-1",
    "null",
    "noop",
    "retry: {count: ",
    "x in ",
    "chain",
    "name",
    "ref",
];

#[test]
fn whatever_comes_is_inspected() {
    let base = "version: 1.0\ninput:\n  - a\nvars:\n  - b: 1\ntasks:\n  a:\n    action: core.noop\n    with: x in <% ctx(a) %>\n    retry: {count: 1}\n    next:\n      - when: <% succeeded() %>\n        publish: c=1 d=<% ctx().b %>\n        do: b, c\n  b:\n    join: all\n    action: core.noop\n    next: [{do: a}]\n  c:\n    next:\n      - do: b\n";
    let expressions = Expressions::default();
    for seed in 1..1500_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut text = base.to_owned();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len());
            let end = (at + random.below(6)).min(text.len());
            text.replace_range(at..end, PIECES[random.below(PIECES.len())]);
        }
        for inspection in [
            inspect(&text, &expressions, &Surroundings::default()),
            inspect_chain(&text, &expressions, &Surroundings::default()),
        ] {
            assert!(inspection.to_list().as_list().is_some());
            for diagnostic in inspection.diagnostics() {
                assert!(diagnostic.render("f", &text).contains("f:"), "{text}");
            }
        }
    }
}

#[test]
fn long_chains_of_variables_are_followed_to_their_end() {
    let mut text = String::from("version: 1.0\ntasks:\n");
    for number in 0..600 {
        let next = number + 1;
        text += &format!(
            "  t{number}:\n    action: core.noop\n    next:\n      - do: t{next}\n        publish: v{number}=1\n"
        );
    }
    text += "  t600:\n    action: core.echo\n    input: {a: <% ctx().v0 %>, b: <% ctx().v600 %>}\n";
    let inspection = inspect(&text, &Expressions::default(), &Surroundings::default());
    let messages: Vec<&str> = inspection
        .errors
        .iter()
        .map(|found| found.message.as_str())
        .collect();
    assert_eq!(
        messages,
        ["Variable \"v600\" is referenced before assignment."]
    );
}

/// What goes beyond Orquesta, well and badly written.
const BEYOND: &str = "version: 1.0\ntimeout: <% ctx().limit %>\ntasks:\n  a:\n    action: core.noop\n    timeout: 5\n    on_failure: hold\n  b:\n    action: core.noop\n    timeout: 0\n    on_failure: wait\n  c:\n    action: core.noop\n    timeout: <% 1 + %>\n";

#[test]
fn time_limits_and_holds_are_part_of_the_language() {
    check(
        BEYOND,
        expect![[r#"
        2:10: error: Variable "limit" is referenced before assignment in `<% ctx().limit %>` @ timeout
        10:14: error: 0 is not valid under any of the given schemas @ tasks.b.timeout
        11:17: error: 'wait' is not one of ['proceed', 'hold'] @ tasks.b.on_failure
        14:14: error: Parse error: unexpected end of statement in `<% 1 + %>` @ tasks.c.timeout
    "#]],
    );
}

#[test]
fn orquesta_alone_has_no_time_limits_and_no_holds() {
    let surroundings = Surroundings {
        dialect: Dialect::Orquesta,
        ..Surroundings::default()
    };
    let inspection = inspect(BEYOND, &Expressions::default(), &surroundings);
    let shown: String = inspection
        .diagnostics()
        .iter()
        .map(|diagnostic| format!("{diagnostic}\n"))
        .collect();
    expect![[r#"
        2:1: error: Additional properties are not allowed ('timeout' was unexpected) (known here: vars, input, output, tasks, name, version, description, tags)
        7:5: error: Additional properties are not allowed ('on_failure', 'timeout' were unexpected) (known here: delay, join, with, action, input, retry, next)
        11:5: error: Additional properties are not allowed ('on_failure', 'timeout' were unexpected) (known here: delay, join, with, action, input, retry, next)
        14:5: error: Additional properties are not allowed ('timeout' was unexpected) (known here: delay, join, with, action, input, retry, next)
    "#]].assert_eq(&shown);
}
