use squall_value::{Value, json};

use super::inline;

#[track_caller]
fn check(text: &str, expected: &str) {
    let parsed: Value = inline::parse(text)
        .into_iter()
        .map(|(name, value)| squall_value::list![name, value])
        .collect();
    assert_eq!(parsed, json::read(expected).unwrap(), "{text}");
}

#[test]
fn inline_values_keep_their_types() {
    check(
        r#"core.x a=1 b=-2.5 c=TRUE d=null"#,
        r#"[["a",1],["b",-2.5],["c",true],["d",null]]"#,
    );
    check(r#"core.x a="1" b='x y'"#, r#"[["a","1"],["b","x y"]]"#);
    check(
        r#"core.x a='{"k": 1}' b=[1, 2]"#,
        r#"[["a",{"k":1}],["b",[1,2]]]"#,
    );
    check(
        "core.x a=<% ctx().a = 1 %>",
        r#"[["a","<% ctx().a = 1 %>"]]"#,
    );
    check("a=1 a=2", r#"[["a",1],["a",2]]"#);
}

#[test]
fn bare_words_are_no_values() {
    check("core.local cmd=date", "[]");
    check("core.x a=1 cmd=date b=2", r#"[["a",1],["b",2]]"#);
}

#[test]
fn a_comparison_inside_an_expression_is_no_parameter() {
    check("<% ctx().mode=prod %>", "[]");
    check("core.local", "[]");
}
