use super::*;

#[track_caller]
fn check_pack(text: &str, compressed: bool) {
    let packed = pack(text);
    assert_eq!(matches!(packed, Packed::Compressed(_)), compressed);
    assert_eq!(unpack(packed.bytes()).unwrap(), text);
}

#[test]
fn texts_survive_packing() {
    check_pack("", false);
    check_pack("{}", false);
    check_pack(&"x".repeat(PLAIN_MAX), false);
    check_pack(&"x".repeat(PLAIN_MAX + 1), true);
    check_pack("\u{1}foreign", true);
    check_pack(&"äöü".repeat(100_000), true);
}

#[test]
fn damage_of_any_byte_is_found() {
    let text: String = (0..2000).map(|n| format!("{n},")).collect();
    let packed = pack(text);
    let bytes = packed.bytes();
    assert!(matches!(packed, Packed::Compressed(_)));
    for at in 1..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x10;
        assert!(unpack(&damaged).is_err(), "byte {at}");
        assert!(unpack(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn bodies_tell_what_is_wrong() {
    for (body, reason) in [
        (
            "",
            "its header is not JSON: the text ends where a value should be at line 1, column 1",
        ),
        ("{}", "its header has no version"),
        (r#"{"v":99}"#, "its format 99 is unknown to this program"),
        (r#"{"v":1}"#, "a value is missing"),
        (
            "{\"v\":1}\n{",
            "a value is not JSON: expected a key in double quotes at line 1, column 2",
        ),
    ] {
        let error = decode_document(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), reason);
    }
    assert_eq!(
        Damage::from("its id is damaged")
            .of("document", &"rule a.b")
            .to_string(),
        "the store holds a damaged record: document rule a.b: its id is damaged"
    );
}

#[test]
fn logs_survive() {
    let log = vec![
        squall_model::LogEntry {
            status: squall_model::Status::Requested,
            at: moment(1_767_225_600_000_001).unwrap(),
        };
        3
    ];
    let text = encode_log(&log);
    assert!(text.starts_with("requested@1767225600000001,requested@"));
}

#[test]
fn prefixes_end() {
    for (prefix, end) in [
        ("", None),
        ("acme.", Some("acme/")),
        ("a\u{10ffff}", Some("b")),
        ("\u{d7ff}", Some("\u{e000}")),
        ("\u{10ffff}", None),
    ] {
        assert_eq!(prefix_end(prefix).as_deref(), end);
    }
}
