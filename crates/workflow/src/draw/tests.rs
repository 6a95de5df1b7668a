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
    expect![[""]].assert_eq(&text(&build()));
}

#[test]
fn dot_and_mermaid_escape_their_quotes() {
    let definition = build();
    expect![[""]].assert_eq(&dot(&definition));
    expect![[""]].assert_eq(&mermaid(&definition));
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
    assert_eq!(picture.matches("<rect x=").count(), 501);
}
