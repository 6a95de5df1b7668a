use super::*;

#[test]
fn announcements_are_read_only_for_those_who_may_want_them() {
    let default = DEFAULT_EVENTS.join(",");
    for (events, actions, expect) in [
        (&*default, "", true),
        ("st2.announcement__chatops", "", true),
        ("st2.execution__create,st2.announcement__*", "", true),
        ("*", "", true),
        ("st2.execution__*", "", false),
        ("*", "core.local", false),
    ] {
        let list = |text: &str| -> Vec<String> {
            let items = text.split(',').filter(|item| !item.is_empty());
            items.map(str::to_owned).collect()
        };
        let filter = Filter {
            events: list(events),
            executions: Vec::new(),
            actions: list(actions),
            end: None,
        };
        assert_eq!(
            filter.may_want_announcements(),
            expect,
            "{events} {actions}"
        );
    }
}

#[test]
fn patterns_are_shell_globs() {
    let many = format!("{}z", "*e".repeat(30));
    for (pattern, text, expect) in [
        ("st2.execution__*", "st2.execution__update", true),
        ("st2.execution__*", "st2.execution.output__create", false),
        ("*", "anything", true),
        ("st2.*__create", "st2.execution.output__create", true),
        ("st2.execution__create", "st2.execution__create", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "axxbyy", false),
        ("ab*bc", "abc", false),
        ("a*bc*bc", "abcbbc", true),
        // One that would be tried in more ways than there is time for.
        (&*many, &*"e".repeat(60), false),
    ] {
        assert_eq!(glob(pattern, text), expect, "{pattern} {text}");
    }
}
