use expect_test::expect;

use super::*;

const BUILD: &str = "version: 1.0
tasks:
  build:
    action: ci.build
    retry: {count: 2}
    next:
      - when: <% succeeded() %>
        do: [unit, \"lint\"]
      - when: <% failed() and result() = \"a\" %>
        do: fail
  unit:
    with: x in <% ctx(xs) %>
    action: ci.unit
    next: [{do: ship}]
  lint:
    action: ci.lint
    next: [{do: ship}]
  ship:
    join: all
    action: ci.ship
    next:
      - when: <% failed() %>
        do: build
";

fn build() -> Definition {
    Definition::parse(&format!("{BUILD}  start:\n    next: [{{do: build}}]\n")).unwrap()
}

#[test]
fn text_lists_tasks_and_transitions() {
    expect![[r#"
        * start
            -> build
          build  (ci.build, retry)
            -> lint  if succeeded
            -> unit  if succeeded
            -> fail  if failed() and result() = "a"
          lint  (ci.lint)
            -> ship
          unit  (ci.unit, with x in <% ctx(xs) %>)
            -> ship
          ship  (ci.ship, join all)
            -> build  if failed
    "#]]
    .assert_eq(&text(&build()));
}

#[test]
fn dot_and_mermaid_escape_their_quotes() {
    let definition = build();
    expect![[r#"
        digraph workflow {
          rankdir=TB;
          node [shape=box, style=rounded];
          "start" [label="start"];
          "build" [label="build\nci.build\nretry"];
          "fail" [label="fail", shape=ellipse];
          "lint" [label="lint\nci.lint"];
          "unit" [label="unit\nci.unit\nwith x in <% ctx(xs) %>"];
          "ship" [label="ship\nci.ship\njoin all"];
          "start" -> "build";
          "build" -> "fail" [label="failed() and result() = \"a\""];
          "build" -> "lint" [label="succeeded"];
          "build" -> "unit" [label="succeeded"];
          "lint" -> "ship";
          "unit" -> "ship";
          "ship" -> "build" [label="failed"];
        }
    "#]]
    .assert_eq(&dot(&definition));
    expect![[r#"
        flowchart TD
          n0["start"]
          n1["build<br/>ci.build<br/>retry"]
          n2(["fail"])
          n3["lint<br/>ci.lint"]
          n4["unit<br/>ci.unit<br/>with x in #lt;% ctx(xs) %#gt;"]
          n5["ship<br/>ci.ship<br/>join all"]
          n0 --> n1
          n1 -->|"failed() and result() = #quot;a#quot;"| n2
          n1 -->|"succeeded"| n3
          n1 -->|"succeeded"| n4
          n3 --> n5
          n4 --> n5
          n5 -->|"failed"| n1
    "#]]
    .assert_eq(&mermaid(&definition));
}

#[test]
fn svg_places_every_task_once_and_nothing_outside() {
    let picture = svg(&build());
    for name in ["build", "unit", "lint", "ship", "start", "fail"] {
        assert_eq!(
            picture.matches(&format!(">{name}</text>")).count(),
            1,
            "{name}\n{picture}"
        );
    }
    assert_eq!(picture.matches("marker-end").count(), 7);
    assert!(picture.contains("join all") && picture.contains("&quot;a&quot;"));
    assert!(svg(&Definition::parse("tasks: {}").unwrap()).starts_with("<svg"));
}

#[test]
fn large_graphs_are_drawn() {
    let mut workflow = String::from("version: 1.0\ntasks:\n");
    for number in 0..500 {
        let _ = write!(
            workflow,
            "  t{number}:\n    action: core.noop\n    next:\n      - do: [t{}, t{}]\n",
            number + 1,
            (number + 250).min(500)
        );
    }
    workflow += "  t500:\n    action: core.noop\n";
    let picture = svg(&Definition::parse(&workflow).unwrap());
    assert_eq!(picture.matches(" rx=").count(), 501);
}
