use expect_test::{Expect, expect};
use squall_value::json;

use super::{Kind, REPORT_BYTES_MAX, parse};

fn check(kind: Kind, report: &str, expected: Expect) {
    let found = match parse(kind, report.as_bytes()) {
        Ok(value) => json::write_styled(&value, json::Style::PRETTY),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&found);
}

#[test]
fn ansible_tells_hosts_and_failures() {
    check(
        Kind::Ansible,
        r#"{"custom_stats": {}, "global_custom_stats": {}, "plays": [
            {"play": {"name": "web", "id": "1"}, "tasks": [
                {"task": {"name": "install nginx", "id": "2"}, "hosts": {
                    "web1": {"changed": true, "action": "apt"},
                    "web2": {"changed": false, "failed": true, "msg": "No package nginx"},
                    "web3": {"unreachable": true, "msg": "ssh: timed out", "changed": false}}}]}],
            "stats": {
                "web1": {"changed": 1, "failures": 0, "ignored": 0, "ok": 2, "rescued": 0, "skipped": 1, "unreachable": 0},
                "web2": {"changed": 0, "failures": 1, "ignored": 0, "ok": 1, "rescued": 0, "skipped": 0, "unreachable": 0},
                "web3": {"changed": 0, "failures": 0, "ignored": 0, "ok": 0, "rescued": 0, "skipped": 0, "unreachable": 1}}}"#,
        expect![[r#"
            {
                "tool": "ansible",
                "status": "failed",
                "changed": 1,
                "failed": 2,
                "total": 6,
                "hosts": {
                    "web1": {
                        "changed": 1,
                        "failed": 0,
                        "total": 3,
                        "unreachable": false
                    },
                    "web2": {
                        "changed": 0,
                        "failed": 1,
                        "total": 2,
                        "unreachable": false
                    },
                    "web3": {
                        "changed": 0,
                        "failed": 1,
                        "total": 1,
                        "unreachable": true
                    }
                },
                "failures": [
                    {
                        "host": "web2",
                        "name": "install nginx",
                        "message": "No package nginx"
                    },
                    {
                        "host": "web3",
                        "name": "install nginx",
                        "message": "ssh: timed out"
                    }
                ],
                "plays": [
                    "web"
                ]
            }"#]],
    );
}

#[test]
fn puppet_tells_resources() {
    check(
        Kind::Puppet,
        r#"{"host": "db1", "status": "changed", "time": "2026-01-02T03:04:05Z", "environment": "production",
            "noop": false, "resource_statuses": {
                "File[/etc/motd]": {"resource": "File[/etc/motd]", "changed": true, "failed": false, "change_count": 1, "events": []},
                "Package[x]": {"resource": "Package[x]", "changed": false, "failed": true, "events": [
                    {"status": "failure", "message": "no candidate"}]},
                "Service[y]": {"resource": "Service[y]", "changed": false, "failed": false, "events": []}}}"#,
        expect![[r#"
            {
                "tool": "puppet",
                "status": "failed",
                "changed": 1,
                "failed": 1,
                "total": 3,
                "hosts": {
                    "db1": {
                        "changed": 1,
                        "failed": 1,
                        "total": 3
                    }
                },
                "failures": [
                    {
                        "host": "db1",
                        "name": "Package[x]",
                        "message": "no candidate"
                    }
                ],
                "environment": "production",
                "configuration_version": null,
                "transaction_uuid": null,
                "time": "2026-01-02T03:04:05Z",
                "noop": false
            }"#]],
    );
}

#[test]
fn puppet_reports_come_as_yaml_with_tags_of_ruby() {
    check(
        Kind::Puppet,
        "--- !ruby/object:Puppet::Transaction::Report
host: db1
time: '2026-01-02T03:04:05.000000000+00:00'
status: failed
environment: production
noop: false
resource_statuses:
  Service[nginx]: !ruby/object:Puppet::Resource::Status
    resource: Service[nginx]
    failed: true
    changed: false
    tags: !ruby/object:Puppet::Util::TagSet
      hash: {service: true}
    events:
    - !ruby/object:Puppet::Transaction::Event
      status: failure
      name: !ruby/sym ensure
      message: could not start
",
        expect![[r#"
            {
                "tool": "puppet",
                "status": "failed",
                "changed": 0,
                "failed": 1,
                "total": 1,
                "hosts": {
                    "db1": {
                        "changed": 0,
                        "failed": 1,
                        "total": 1
                    }
                },
                "failures": [
                    {
                        "host": "db1",
                        "name": "Service[nginx]",
                        "message": "could not start"
                    }
                ],
                "environment": "production",
                "configuration_version": null,
                "transaction_uuid": null,
                "time": "2026-01-02T03:04:05.000000000+00:00",
                "noop": false
            }"#]],
    );
}

#[test]
fn terraform_tells_changes_and_errors() {
    check(
        Kind::Terraform,
        r#"{"@level":"info","@message":"Terraform 1.9.0","terraform":"1.9.0","type":"version","ui":"1.2"}
not json
{"@level":"info","hook":{"resource":{"addr":"null_resource.a"},"action":"create"},"type":"apply_complete"}
{"@level":"info","changes":{"add":1,"change":2,"import":0,"remove":0,"operation":"apply"},"type":"change_summary"}
"#,
        expect![[r#"
            {
                "tool": "terraform",
                "status": "changed",
                "changed": 3,
                "failed": 0,
                "total": 1,
                "hosts": {},
                "failures": [],
                "version": "1.9.0",
                "operation": "apply",
                "changes": {
                    "add": 1,
                    "change": 2,
                    "import": 0,
                    "remove": 0,
                    "operation": "apply"
                }
            }"#]],
    );
    check(
        Kind::Terraform,
        r#"{"terraform":"1.9.0","type":"version"}
{"hook":{"resource":{"addr":"aws_instance.b"}},"type":"apply_errored"}
{"diagnostic":{"severity":"error","summary":"quota exceeded","address":"aws_instance.b"},"type":"diagnostic"}"#,
        expect![[r#"
            {
                "tool": "terraform",
                "status": "failed",
                "changed": 0,
                "failed": 1,
                "total": 1,
                "hosts": {},
                "failures": [
                    {
                        "host": null,
                        "name": "aws_instance.b",
                        "message": "quota exceeded"
                    }
                ],
                "version": "1.9.0"
            }"#]],
    );
    check(
        Kind::Terraform,
        r#"{"payload_version": 1, "run_id": "run-1", "run_url": "https://app.terraform.io/x", "run_message": "queued",
            "workspace_name": "net", "organization_name": "acme", "notifications": [
            {"message": "Run Errored", "trigger": "run:errored", "run_status": "errored"}]}"#,
        expect![[r#"
            {
                "tool": "terraform",
                "status": "failed",
                "changed": 0,
                "failed": 1,
                "total": 1,
                "hosts": {},
                "failures": [
                    {
                        "host": null,
                        "name": "net",
                        "message": "Run Errored"
                    }
                ],
                "run_id": "run-1",
                "run_url": "https://app.terraform.io/x",
                "run_message": "queued",
                "workspace_name": "net",
                "organization_name": "acme",
                "run_status": "errored",
                "trigger": "run:errored",
                "notification": {
                    "message": "Run Errored"
                }
            }"#]],
    );
}

#[test]
fn what_is_no_report_is_refused() {
    let cases = [
        (
            Kind::Ansible,
            "[",
            "the report can't be read: the text ends where a value should be at line 1, column 2",
        ),
        (
            Kind::Ansible,
            "{}",
            "this is no report of Ansible: it has no `stats`",
        ),
        (
            Kind::Puppet,
            "",
            "this is no report of Puppet: it has no `host`",
        ),
        (
            Kind::Puppet,
            r#"{"host": "a"}"#,
            "this is no report of Puppet: it has no `status`",
        ),
        (
            Kind::Terraform,
            "hello",
            "this is no report of Terraform: no line has the type `version`",
        ),
        (
            Kind::Terraform,
            r#"{"notifications": []}"#,
            "this is no report of Terraform: its `notifications` are empty",
        ),
    ];
    for (kind, report, expected) in cases {
        let error = parse(kind, report.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{report}");
    }
    assert!(parse(Kind::Ansible, &vec![b' '; REPORT_BYTES_MAX + 1]).is_err());
}
