//! Roles as data: files in, decisions out.

use std::sync::Arc;

use squall_env::{Env, FakeEnv};
use squall_model::{ActionRef, RuleRef};
use squall_store::{MemoryStore, RuleVisibility, Store, Visibility};
use squall_value::Str;

use super::*;

fn files(texts: &[(&str, &str)]) -> Vec<Text> {
    let text = |(path, content): &(&str, &str)| Text {
        path: Str::from(*path),
        content: Str::from(*content),
    };
    texts.iter().map(text).collect()
}

fn findings(texts: &[(&str, &str)]) -> String {
    let found = Definitions::read(&files(texts)).unwrap_err();
    found.iter().map(|finding| format!("{finding}\n")).collect()
}

/// The rights of a role with these grants: a line each, `UID PERMISSION...`, `-` for no uid.
fn rights(grants: &str) -> Rights {
    let mut yaml = "name: r\npermission_grants:\n".to_owned();
    for line in grants
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (uid, permissions) = line.split_once(' ').unwrap();
        yaml.push_str("  - permission_types: [");
        yaml.push_str(&permissions.replace(' ', ", "));
        yaml.push_str("]\n");
        if uid != "-" {
            yaml.push_str(&format!("    resource_uid: \"{uid}\"\n"));
        }
    }
    let read = Definitions::read(&files(&[("roles/r.yaml", &yaml)]));
    let definitions = read.unwrap_or_else(|found| panic!("{}", found[0]));
    Rights::of(Str::from("ann"), &definitions.roles, Lists::Visible)
}

fn permission(name: &str) -> Permission {
    Permission::from_name(name).unwrap()
}

#[test]
fn files_are_read_as_stackstorm_reads_them() {
    let read = Definitions::read(&files(&[
        (
            "roles/operators.yaml",
            "---\nname: operators\ndescription: On call\nenabled: true\npermission_grants:\n    -\n        \
             resource_uid: \"pack:net\"\n        permission_types:\n           - action_execute\n           \
             - rule_view\n    -\n        permission_types:\n           - action_list\n",
        ),
        ("roles/later.yaml", "name: later\nenabled: false\n"),
        (
            "assignments/ann.yaml",
            "username: ann\nroles: [operators, observer]\n",
        ),
        (
            "assignments/bob.yaml",
            "username: bob\nenabled: false\nroles: [admin]\n",
        ),
        (
            "mappings/net.yaml",
            "group: \"CN=net,OU=x\"\nroles:\n  - operators\n  - gone\n",
        ),
    ]));
    let read = read.unwrap();
    let [role] = &read.roles[..] else {
        panic!("{:?}", read.roles)
    };
    assert_eq!((&*role.name, &*role.description), ("operators", "On call"));
    assert_eq!(role.grants[0].resource.as_deref(), Some("pack:net"));
    assert_eq!(role.grants[1].permissions, [Permission::ActionList]);
    let [assignment] = &read.assignments[..] else {
        panic!("{:?}", read.assignments)
    };
    assert_eq!(
        (&*assignment.user, &*assignment.source),
        ("ann", "assignments/ann.yaml")
    );
    assert_eq!(&*read.mappings[0].group, "CN=net,OU=x");
    assert_eq!(
        read.warnings[0].to_string(),
        "mappings/net.yaml:4:5: there is no role `gone` (define it in a file in roles, and enable it)"
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (path, text, expect) in [
        (
            "roles/a.yaml",
            "name: admin\n",
            "roles/a.yaml:1:7: `admin` is a role of the system",
        ),
        (
            "roles/a.yaml",
            "description: x\n",
            "roles/a.yaml:1:1: `name` is missing",
        ),
        (
            "roles/a.yaml",
            "name: a\nroles: []\n",
            "roles/a.yaml:2:1: `roles` means nothing here",
        ),
        (
            "roles/a.yaml",
            "name: a\npermission_grants:\n- permission_types: [action_view]\n",
            "roles/a.yaml:3:22: Invalid permission type \"action_view\" without a `resource_uid`",
        ),
        (
            "roles/a.yaml",
            "name: a\npermission_grants:\n- resource_uid: 'rule:p:r'\n  permission_types: [action_view]\n",
            "roles/a.yaml:4:22: Invalid permission type \"action_view\" for resource type \"rule\"",
        ),
        (
            "roles/a.yaml",
            "name: a\npermission_grants:\n- resource_uid: core.local\n",
            "roles/a.yaml:3:17: `core.local` is no uid of a resource",
        ),
        (
            "roles/a.yaml",
            "name: a\npermission_grants:\n- permission_types: [fly]\n",
            "roles/a.yaml:3:22: `fly` is no permission",
        ),
        (
            "assignments/a.yaml",
            "username: ann\nroles: [x]\n",
            "assignments/a.yaml:2:9: there is no role `x`",
        ),
        (
            "assignments/a.yaml",
            "username: ann\n",
            "assignments/a.yaml:1:1: `roles` must be a list",
        ),
        (
            "mappings/a.yaml",
            "- x\n",
            "mappings/a.yaml:1:1: expected a mapping, found list",
        ),
        ("mappings/a.yaml", "group: [\n", "mappings/a.yaml:"),
        (
            "other/a.yaml",
            "name: x\n",
            "other/a.yaml:1:1: the file lies in none of the directories",
        ),
    ] {
        let found = findings(&[(path, text)]);
        assert!(found.starts_with(expect), "{found}");
    }
    let twice = findings(&[("roles/a.yaml", "name: x\n"), ("roles/b.yaml", "name: x\n")]);
    assert!(
        twice.starts_with("roles/b.yaml:1:7: `x` is defined in roles/a.yaml already"),
        "{twice}"
    );
}

#[test]
fn grants_hold_where_they_stand_and_in_the_pack() {
    let action = |text| Resource::action(&ActionRef::parse(text).unwrap());
    let rule = |text| Resource::rule(&RuleRef::parse(text).unwrap());
    for (grants, asked, resource, expect) in [
        (
            "action:p:a action_execute",
            "action_execute",
            action("p.a"),
            true,
        ),
        (
            "action:p:a action_execute",
            "action_view",
            action("p.a"),
            true,
        ),
        (
            "action:p:a action_execute",
            "action_modify",
            action("p.a"),
            false,
        ),
        (
            "action:p:a action_execute",
            "action_execute",
            action("p.b"),
            false,
        ),
        (
            "action:p:a action_all",
            "action_delete",
            action("p.a"),
            true,
        ),
        (
            "pack:p action_execute",
            "action_execute",
            action("p.b"),
            true,
        ),
        (
            "pack:p action_execute",
            "action_execute",
            action("pp.b"),
            false,
        ),
        ("pack:p action_execute", "rule_view", rule("p.r"), false),
        ("pack:p rule_create", "rule_view", rule("p.r"), true),
        ("pack:p pack_all", "action_execute", action("p.a"), false),
        ("pack:p pack_all", "pack_view", Resource::pack("p"), true),
        (
            "pack:p pack_config",
            "pack_config",
            Resource::pack("q"),
            false,
        ),
        ("- pack_config", "pack_config", Resource::pack("q"), true),
        ("- pack_config", "pack_install", Resource::pack("q"), false),
        (
            "webhook:deploy webhook_send",
            "webhook_send",
            Resource::named(ResourceType::Webhook, "deploy"),
            true,
        ),
        (
            "webhook:deploy webhook_send",
            "webhook_send",
            Resource::named(ResourceType::Webhook, "x"),
            false,
        ),
        (
            "key_value_pair:st2kv.system:k key_value_pair_set",
            "key_value_pair_view",
            Resource::key("st2kv.system:k"),
            true,
        ),
        (
            "key_value_pair:st2kv.system:k key_value_pair_set",
            "key_value_pair_delete",
            Resource::key("st2kv.system:k"),
            false,
        ),
        (
            "",
            "key_value_pair_set",
            Resource::key("st2kv.user:ann:k"),
            true,
        ),
        (
            "",
            "key_value_pair_view",
            Resource::key("st2kv.user:bob:k"),
            false,
        ),
        (
            "key_value_pair:st2kv.user:bob:k key_value_pair_all",
            "key_value_pair_view",
            Resource::key("st2kv.user:bob:k"),
            false,
        ),
        (
            "trigger:core:t:abc trigger_view",
            "trigger_view",
            Resource::trigger("core.t"),
            true,
        ),
        ("", "api_key_delete", Resource::api_key("h", "ann"), true),
        ("", "api_key_create", Resource::api_key("", "ann"), false),
        ("", "api_key_view", Resource::api_key("h", "bob"), false),
    ] {
        let may = rights(grants).may(permission(asked), &resource);
        assert_eq!(may, expect, "{grants} / {asked} on {resource}");
    }
}

#[test]
fn what_came_of_an_action_or_a_rule_inherits_its_rights() {
    let core = ActionRef::parse("core.local").unwrap();
    let of = |user| Resource::execution("5f", &core, user);
    for (grants, asked, resource, expect) in [
        (
            "action:core:local action_view",
            "execution_view",
            of("bob"),
            true,
        ),
        ("pack:core action_view", "execution_view", of("bob"), true),
        ("pack:core action_view", "execution_stop", of("bob"), false),
        (
            "pack:core action_execute",
            "execution_stop",
            of("bob"),
            true,
        ),
        (
            "pack:core action_execute",
            "execution_rerun",
            of("bob"),
            true,
        ),
        ("pack:p action_execute", "execution_view", of("bob"), false),
        (
            "execution:5f execution_stop",
            "execution_view",
            of("bob"),
            true,
        ),
        ("", "execution_view", of("ann"), true),
        ("", "execution_stop", of("ann"), true),
        ("", "execution_rerun", of("ann"), false),
        (
            "pack:p rule_view",
            "rule_enforcement_view",
            Resource::enforcement("1", &RuleRef::parse("p.r").unwrap()),
            true,
        ),
        (
            "pack:q rule_view",
            "rule_enforcement_view",
            Resource::enforcement("1", &RuleRef::parse("p.r").unwrap()),
            false,
        ),
        (
            "action:core:local action_execute",
            "inquiry_respond",
            Resource::inquiry("1", Some(&core), "bob"),
            true,
        ),
        (
            "action:core:local action_view",
            "inquiry_respond",
            Resource::inquiry("1", Some(&core), "bob"),
            false,
        ),
        (
            "- inquiry_respond",
            "inquiry_view",
            Resource::inquiry("1", None, "bob"),
            true,
        ),
        (
            "- inquiry_view",
            "inquiry_respond",
            Resource::inquiry("1", None, "bob"),
            false,
        ),
    ] {
        let may = rights(grants).may(permission(asked), &resource);
        assert_eq!(may, expect, "{grants} / {asked} on {resource}");
    }
}

#[test]
fn lists_are_opened_by_a_permission_and_hold_what_may_be_seen() {
    let rights = rights(
        "- execution_list rule_list\npack:p action_view\naction:core:local action_execute\n\
         rule:p:r rule_modify\ntrigger:core:t trigger_view",
    );
    assert!(rights.has(Permission::ExecutionList));
    assert!(rights.has(Permission::RuleEnforcementList));
    assert!(!rights.has(Permission::ActionList));
    assert!(!rights.sees_all(Permission::ExecutionView));
    let expect = Visibility::Only {
        users: vec![Str::from("ann")],
        actions: vec![ActionRef::parse("core.local").unwrap()],
        packs: vec![Str::from("p")],
        ids: Vec::new(),
    };
    assert_eq!(rights.executions(), expect);
    let rules = vec![RuleRef::parse("p.r").unwrap()];
    let packs = Vec::new();
    assert_eq!(rights.enforcements(), RuleVisibility::Only { rules, packs });
    assert_eq!(rights.triggers(), Some(vec![Str::from("core.t")]));
    assert_eq!(
        Rights::everything(Str::from("ann")).executions(),
        Visibility::All
    );
}

#[test]
fn users_that_are_kept_apart_have_their_own() {
    let role = |name: &str| Role {
        name: Str::from(name),
        description: Str::default(),
        grants: Vec::new(),
    };
    let rights = |user: &str, name: &str| Rights::of(Str::from(user), &[role(name)], Lists::Own);
    let action = ActionRef::parse("p.a").unwrap();
    let rule = RuleRef::parse("p.r").unwrap();
    let execution = |owner| Resource::execution("1", &action, owner);
    let rule = |owner| Resource::rule(&rule).owned_by(owner);
    let view = (Permission::ExecutionView, Permission::RuleView);
    for (user, name, own, others, nobodys) in [
        ("ann", system::OBSERVER, true, false, false),
        ("ann", system::ADMIN, true, true, true),
        ("stanley", system::OBSERVER, true, true, true),
    ] {
        let rights = rights(user, name);
        assert_eq!(rights.may(view.0, &execution(user)), own);
        assert_eq!(rights.may(view.0, &execution("bob")), others);
        assert_eq!(rights.may(view.1, &rule(Some(user))), own);
        assert_eq!(rights.may(view.1, &rule(Some("bob"))), others);
        assert_eq!(rights.may(view.1, &rule(None)), nobodys);
        assert_eq!(rights.executions() == Visibility::All, others, "{user}");
        assert!(
            rights.sees_all(Permission::ActionView),
            "only what somebody owns"
        );
    }
}

#[test]
fn refusals_are_stackstorms_texts() {
    let rights = rights("");
    let action = Resource::action(&ActionRef::parse("core.local").unwrap());
    let refused = rights
        .check(Permission::ActionExecute, &action)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "User \"ann\" doesn't have required permission \"action_execute\" on resource \
         \"action:core:local\""
    );
    let refused = rights.check_any(Permission::ActionList).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "User \"ann\" doesn't have required permission \"action_list\""
    );
}

async fn opened(store: &Arc<dyn Store>) -> Roles {
    let env: Arc<dyn Env> = Arc::new(FakeEnv::new(7));
    let settings = Settings {
        enabled: true,
        lists: Lists::Visible,
    };
    Roles::open(Arc::clone(store), env, settings).await.unwrap()
}

#[tokio::test]
async fn definitions_replace_those_from_files_and_nothing_else() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let roles = opened(&store).await;
    assert!(!roles.has_admin());
    roles
        .assign("admin", &[Str::from("system_admin")])
        .await
        .unwrap();
    let first = Definitions::read(&files(&[
        (
            "roles/a.yaml",
            "name: a\npermission_grants:\n- permission_types: [action_list]\n",
        ),
        ("assignments/ann.yaml", "username: ann\nroles: [a]\n"),
        ("mappings/net.yaml", "group: net\nroles: [a, observer]\n"),
    ]))
    .unwrap();
    assert_eq!(roles.apply(&first).await.unwrap().changes, 3);
    assert_eq!(roles.apply(&first).await.unwrap().changes, 0);
    assert!(roles.rights("ann").has(Permission::ActionList));
    roles
        .join("bob", &[Str::from("net"), Str::from("other")])
        .await
        .unwrap();
    assert!(roles.rights("bob").sees_all(Permission::RuleView));
    assert_eq!(
        roles.apply(&Definitions::default()).await.unwrap().changes,
        3
    );
    assert!(!roles.rights("ann").has(Permission::ActionList));
    assert!(roles.rights("admin").is_admin());
    roles.join("bob", &[]).await.unwrap();
    assert!(!roles.rights("bob").sees_all(Permission::RuleView));
    let refused = roles.assign("admin", &[]).await;
    assert!(matches!(refused, Err(ApplyError::Irrevocable(_))));
    // Another start finds the same.
    assert!(opened(&store).await.rights("admin").is_admin());
}
