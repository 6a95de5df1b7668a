use std::fmt::Write;

use expect_test::{Expect, expect};
use squall_value::{Value, json};

use crate::{
    DuplicateKeys, EmitStyle, Failure, Kind, Limits, Options, UnknownTags, emit, load, load_all,
    load_bytes, to_yaml, value,
};

/// Each text means the JSON after `=>`, or is refused where that begins with `!`.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        match (value(text), expected.strip_prefix('!')) {
            (Ok(value), None) => assert_eq!(value.to_json(), *expected, "{text:?}"),
            (Err(failure), Some(part)) => {
                let message = failure.to_string();
                assert!(message.contains(part), "{text:?}: {message}");
            }
            (Ok(value), Some(_)) => panic!("{text:?} is read as {}", value.to_json()),
            (Err(failure), None) => panic!("{text:?} is refused: {failure}"),
        }
    }
}

#[test]
fn booleans_and_null_come_in_three_casings() {
    check(&[
        (
            "[yes, Yes, YES, on, On, ON, true, True, TRUE]",
            "[true,true,true,true,true,true,true,true,true]",
        ),
        (
            "[no, No, NO, off, Off, OFF, false, False, FALSE]",
            "[false,false,false,false,false,false,false,false,false]",
        ),
        (
            "[y, n, Y, N, yEs, oN, tRUE]",
            r#"["y","n","Y","N","yEs","oN","tRUE"]"#,
        ),
        (
            "[~, null, Null, NULL, nUll]",
            r#"[null,null,null,null,"nUll"]"#,
        ),
        ("'yes'", r#""yes""#),
        ("a:", r#"{"a":null}"#),
        ("", "null"),
    ]);
}

#[test]
fn integers_have_five_notations() {
    check(&[
        ("[0, 1, -1, +1, 1_000, -0]", "[0,1,-1,1,1000,0]"),
        (
            "[0b101, -0b11, 0x1F, 0x_a, 012, -012]",
            "[5,-3,31,10,10,-10]",
        ),
        (
            "[1:30, 190:20:30, -1:30, 1:60, 01:30]",
            r#"[90,685230,-90,"1:60","01:30"]"#,
        ),
        (
            "[08, 09, 0o12, 0b2, _1, 1__0]",
            r#"["08","09","0o12","0b2","_1",10]"#,
        ),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        ),
        (
            "[9223372036854775807, -9223372036854775808]",
            "[9223372036854775807,-9223372036854775808]",
        ),
        ("0b_", "!not a number"),
    ]);
}

#[test]
fn floats_need_a_dot_and_a_signed_exponent() {
    check(&[
        ("[1.5, 1., .5, -1.5, 1_0.5_0]", "[1.5,1.0,0.5,-1.5,10.5]"),
        (
            "[1.5e+3, 1.5e3, 1e3, 1e+3, -.5, +.5]",
            r#"[1500.0,"1.5e3","1e3","1e+3","-.5","+.5"]"#,
        ),
        (
            "[1:30.5, 1.2.3, ., .., 1.e+2]",
            r#"[90.5,"1.2.3",".","..",100.0]"#,
        ),
        ("-.nan", r#""-.nan""#),
    ]);
    let infinite = |text| match load(text, &Options::default()).unwrap().root.kind {
        Kind::Float(number) => number,
        _ => panic!("{text} is no float"),
    };
    assert_eq!(infinite(".inf"), f64::INFINITY);
    assert_eq!(infinite("-.INF"), f64::NEG_INFINITY);
    assert!(infinite(".NaN").is_nan());
}

#[test]
fn timestamps_become_iso_text() {
    check(&[
        ("2020-01-31", r#""2020-01-31""#),
        ("2020-1-31", r#""2020-1-31""#),
        ("2020-1-31 1:02:03", r#""2020-01-31T01:02:03""#),
        ("2020-01-31T10:00:00Z", r#""2020-01-31T10:00:00+00:00""#),
        (
            "2020-01-31 10:00:00.1234567 -5:30",
            r#""2020-01-31T10:00:00.123456-05:30""#,
        ),
        ("2020-02-30", "!no calendar"),
        ("2020-01-31T25:00:00", "!no calendar"),
        ("'2020-02-30'", r#""2020-02-30""#),
    ]);
    let document = load("2020-01-31", &Options::default()).unwrap();
    assert!(matches!(document.root.kind, Kind::Date(_)));
}

#[test]
fn merge_keys_come_before_own_keys() {
    check(&[
        (
            "b: &b {x: 1, y: 2}\na:\n  y: 3\n  <<: *b\n",
            r#"{"b":{"x":1,"y":2},"a":{"x":1,"y":3}}"#,
        ),
        (
            "<<: [{x: 1, y: 1}, {x: 2, z: 2}]\n",
            r#"{"x":1,"z":2,"y":1}"#,
        ),
        ("<<: []\n", "{}"),
        ("'<<': 1\n", r#"{"<<":1}"#),
        ("<<: 3\n", "!`<<` merges mappings"),
        ("<<: [3]\n", "!`<<` merges mappings"),
        ("[<<]", "!is a key"),
        ("=: 1\n", r#"{"=":1}"#),
        ("a: =\n", "!is a key"),
    ]);
}

#[test]
fn keys_become_the_text_that_json_dumps_gives() {
    check(&[
        (
            "{1: a, true: b, 1.5: c, null: d, 1e20: e}",
            r#"{"1":"b","1.5":"c","null":"d","1e20":"e"}"#,
        ),
        ("{yes: 1, 2020-01-31: 2}", r#"{"true":1,"2020-01-31":2}"#),
        ("{[a]: 1}", "!a list can't be a key"),
        ("{{ x }}: 1", "!a mapping can't be a key"),
        ("x: {{ y }}", "!a mapping can't be a key"),
    ]);
}

#[test]
fn tags_of_other_programs_are_ignored_if_that_is_asked_for() {
    let options = Options {
        unknown_tags: UnknownTags::Ignore,
        ..Options::default()
    };
    let text = "!ruby/object:Report\na: !ruby/sym changed\nb: !x [1, !y '2']\nc: !!int '3'\n";
    let read = load(text, &options).unwrap().root.to_value();
    assert_eq!(read.to_json(), r#"{"a":"changed","b":[1,"2"],"c":3}"#);
    assert!(load(text, &Options::default()).is_err());
}

#[test]
fn tags_are_those_of_the_safe_loader() {
    check(&[
        ("!!str 12", r#""12""#),
        ("!!int '0x1F'", "31"),
        ("!!float 1", "1.0"),
        ("!!bool yEs", "true"),
        ("!!null foo", "null"),
        ("!!binary aGVsbG8=", r#""aGVsbG8=""#),
        ("!!set {a, b}", r#"["a","b"]"#),
        ("!!omap [a: 1, b: 2]", r#"[["a",1],["b",2]]"#),
        ("!!pairs [a: 1, a: 2]", r#"[["a",1],["a",2]]"#),
        ("! '12'", "12"),
        ("!!int abc", "!not a number"),
        ("!!bool maybe", "!not a truth value"),
        ("!!binary a", "!not base64"),
        ("!!omap [{a: 1, b: 2}]", "!single `key: value` pair"),
        ("!foo bar", "!the tag `!foo`"),
        ("!!python/object:os.system x", "!has no meaning"),
        ("!!seq {a: b}", "!has no meaning for a mapping"),
    ]);
}

#[test]
fn anchors_live_in_one_document() {
    check(&[
        ("a: &x [1]\nb: *x\n", r#"{"a":[1],"b":[1]}"#),
        ("a: &x [*x]\n", "!contains it"),
        ("a: *x\n", "!not defined before"),
        ("a: &x 1\nb: &x 2\n", "!defined twice"),
    ]);
    let texts = load_all("--- &x a\n--- b\n---\n", &Options::default()).unwrap();
    let values: Vec<String> = texts.iter().map(|d| d.root.to_value().to_json()).collect();
    assert_eq!(values, [r#""a""#, r#""b""#, "null"]);
    assert!(load_all("--- &x a\n--- *x\n", &Options::default()).is_err());
    check(&[("--- a\n--- b\n", "!a second document")]);
}

#[test]
fn block_scalars_keep_their_ends() {
    check(&[
        ("a: |\n  x\n  y\n", r#"{"a":"x\ny\n"}"#),
        ("a: |\n  x", r#"{"a":"x"}"#),
        ("a: |-\n  x\n\n", r#"{"a":"x"}"#),
        ("a: |+\n  x\n\n", r#"{"a":"x\n\n"}"#),
        ("a: >\n  x\n  y\n\n  z\n", r#"{"a":"x y\nz\n"}"#),
        ("a: \"x\n\n  y\"\n", r#"{"a":"x\ny"}"#),
    ]);
}

/// All findings about a text, rendered.
fn findings(text: &str, options: &Options) -> String {
    let diagnostics = match load(text, options) {
        Ok(document) => document.warnings,
        Err(Failure { diagnostics }) => diagnostics,
    };
    diagnostics
        .iter()
        .fold(String::new(), |mut out, diagnostic| {
            let _ = writeln!(out, "{}", diagnostic.render("pack/a.yaml", text));
            out
        })
}

#[track_caller]
fn check_findings(text: &str, options: &Options, expected: Expect) {
    expected.assert_eq(&findings(text, options));
}

#[test]
fn repeated_keys_are_reported_with_both_places() {
    let text = "tasks:\n  a:\n    next: 1\n    next: 2\n";
    check_findings(
        text,
        &Options::default(),
        expect![[r#"
            warning: the key `next` is set twice; the value in line 3 is lost
             --> pack/a.yaml:4:5
              |
            4 |     next: 2
              |     ^
              = at: tasks.a.next
              = help: remove one of the two

        "#]],
    );
    assert_eq!(
        value(text).unwrap().to_json(),
        r#"{"tasks":{"a":{"next":2}}}"#
    );
    assert!(load(text, &Options::strict()).is_err());
    check_findings(
        "a: 1\nb: &b {c: 1, c: 2}\nd: {<<: *b, c: 3}\na: 2\n",
        &Options::strict(),
        expect![[r#"
            error: the key `c` is set twice; the value in line 2 is lost
             --> pack/a.yaml:2:14
              |
            2 | b: &b {c: 1, c: 2}
              |              ^
              = at: b.c
              = help: remove one of the two

            error: the key `a` is set twice; the value in line 1 is lost
             --> pack/a.yaml:4:1
              |
            4 | a: 2
              | ^
              = at: a
              = help: remove one of the two

        "#]],
    );
}

#[test]
fn all_findings_come_at_once() {
    check_findings(
        "a: !x 1\nb:\n  - 2020-13-01\n  - {[q]: 1}\nc: [1\n",
        &Options::default(),
        expect![[r#"
            error: the tag `!x` has no meaning for a single value
             --> pack/a.yaml:1:7
              |
            1 | a: !x 1
              |       ^
              = at: a
              = help: remove the tag, or put the text in quotes if the `!` belongs to it

            error: `2020-13-01` looks like a date but no calendar has it
             --> pack/a.yaml:3:5
              |
            3 |   - 2020-13-01
              |     ^
              = at: b[0]
              = help: correct the date, or put the value in quotes if it is text

            error: a list can't be a key
             --> pack/a.yaml:4:6
              |
            4 |   - {[q]: 1}
              |      ^
              = at: b[1]
              = help: use text as key; put an expression such as '{{ x }}' in quotes

            error: a `[` is never closed
             --> pack/a.yaml:5:4
              |
            5 | c: [1
              |    ^
              = at: c[0]
              = help: add the missing `]`

        "#]],
    );
}

#[test]
fn tabs_are_named() {
    check(&[
        ("a:\n\tb: 1\n", "!a tab is used"),
        ("- \ta\n", "!a tab is used"),
        ("a:\tb\n", r#"{"a":"b"}"#),
        ("[\ta,\tb]", r#"["a","b"]"#),
    ]);
}

#[test]
fn broken_text_is_explained() {
    check(&[
        ("a: {b: c", "!never closed"),
        ("a: 'b", "!never closed"),
        ("a: b: c\n", "!a `:` stands where no key can be"),
        ("a: @b\n", "!back-quote"),
        ("a: %b\n", "!`%`"),
        ("a: *\n", "!no name"),
        (": a\n", "!has no key"),
        ("a: \"\\q\"\n", "!unknown escape"),
        ("a: b\x07\n", "!U+0007"),
        ("a\n b\nc: d\n", "!a `:`"),
    ]);
    let failure = |bytes: &[u8]| load_bytes(bytes, &Options::default()).unwrap_err();
    let latin = failure(b"a: b\nname: caf\xe9\n");
    assert_eq!(
        latin.to_string(),
        "line 2, column 10: the file is not valid UTF-8: byte 0xe9 (save the file as UTF-8; it may be Latin-1 or binary)"
    );
    let wide: Vec<u8> = "\u{feff}a: é"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let document = load_bytes(&wide, &Options::default()).unwrap();
    assert_eq!(document.root.to_value().to_json(), r#"{"a":"é"}"#);
    assert!(
        failure(&wide[..wide.len() - 1])
            .to_string()
            .contains("UTF-16")
    );
}

#[test]
fn every_value_has_its_place() {
    let document = load("a:\n  - é: [x,\n     'yy']\n", &Options::default()).unwrap();
    let item = &document.root.get("a").unwrap().as_sequence().unwrap()[0];
    let entry = item.as_mapping().unwrap().entry("é").unwrap();
    let list = entry.value.as_sequence().unwrap();
    assert_eq!(entry.key.position().to_string(), "2:5");
    assert_eq!(entry.value.span.start.to_string(), "2:8");
    assert_eq!(list[1].span.start.to_string(), "3:6");
    assert_eq!(list[1].span.end.to_string(), "3:10");
}

#[test]
fn budgets_end_what_would_not_end() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        let _ = writeln!(
            laughs,
            "a{level}: &a{level} [{}]",
            below.trim_end_matches(", ")
        );
    }
    let mut merges = String::from("m0: &m0 {k0: 1}\n");
    for level in 1..3000 {
        let _ = writeln!(
            merges,
            "m{level}: &m{level}\n  <<: *m{}\n  k{level}: 1",
            level - 1
        );
    }
    let mut chain = String::from("c0: &c0 [x]\n");
    for level in 1..3000 {
        let _ = writeln!(chain, "c{level}: &c{level} [*c{}]", level - 1);
    }
    check(&[
        (&laughs, "!more than 1000000 values"),
        (&merges, "!more than 1000000 values"),
        (&chain, "!more than 200 levels"),
        (&"[".repeat(100_000), "!more than 200 levels"),
        (&"{a: ".repeat(100_000), "!more than 200 levels"),
        (&"- ".repeat(100_000), "!more than 200 levels"),
        (&"? ".repeat(100_000), "!more than 200 levels"),
        (&"1".repeat(5000), "!more than 4300 digits"),
        (&"!x a\n--- ".repeat(10_000), "!the tag"),
    ]);
    // Work must grow with the length of the text only, however it is cut into lines.
    for text in [
        format!("[{}]", "a,".repeat(300_000)),
        "- a\n".repeat(150_000),
    ] {
        assert!(load(&text, &Options::default()).is_ok());
    }
    let small = Options {
        limits: Limits {
            bytes_max: 10,
            ..Limits::default()
        },
        ..Options::default()
    };
    assert!(load("a: 1234567", &small).is_ok());
    assert!(
        load("a: 12345678", &small)
            .unwrap_err()
            .to_string()
            .contains("longer than 10 bytes")
    );
    let many = "a: 1\n".repeat(100_000);
    let options = Options {
        duplicate_keys: DuplicateKeys::Refuse,
        ..Options::default()
    };
    assert!(load(&many, &options).unwrap_err().diagnostics.len() <= 110);
}

#[test]
fn people_get_readable_yaml() {
    let value = json::read(
        r#"{"name":"a","on":"yes","n":[1,[2,"012"],{"k":"1:30","m":{}}],"cmd":"a\nb\n","t":"x: y","e":"","s":" x","end":"a\n\n","q":"a\n","z":"a\nb"}"#,
    )
    .unwrap();
    expect![[r#"
        name: a
        'on': 'yes'
        n:
          - 1
          - - 2
            - '012'
          - k: '1:30'
            m: {}
        cmd: |
          a
          b
        t: 'x: y'
        e: ''
        s: ' x'
        end: |+
          a

        q: |
          a
        z: |-
          a
          b
    "#]]
    .assert_eq(&to_yaml(&value));
}

#[test]
fn pyyaml_style_is_that_of_safe_dump() {
    let value = json::read(
        r#"{"b":[1,{"x":[],"y":[2]}],"a":"é","l":"long long long long long long long long long long long long long long long long long long","m":"a\nb","f":1e20,"":null}"#,
    )
    .unwrap();
    expect![[r#"
        ? ''
        : null
        a: "\xE9"
        b:
        - 1
        - x: []
          y:
          - 2
        f: 1.0e+20
        l: long long long long long long long long long long long long long long long long
          long long
        m: 'a

          b'
    "#]]
    .assert_eq(&emit(&value, &EmitStyle::pyyaml()));
    assert_eq!(emit(&Value::from("a"), &EmitStyle::pyyaml()), "a\n...\n");
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

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const PIECES: &[&str] = &[
    ":",
    " ",
    "\n",
    "-",
    "a",
    "b",
    "1",
    "'",
    "\"",
    "{",
    "}",
    "[",
    "]",
    "|",
    ">",
    "#",
    "&a ",
    "*a",
    "!",
    "!!int ",
    "?",
    ",",
    "  ",
    "\n  ",
    "\n- ",
    ": ",
    "- ",
    "\t",
    "~",
    "%",
    "yes",
    "<<: ",
    "é",
    "\\x4",
    "---\n",
    "...\n",
    "2020-01-01",
    "1:2",
    "\r\n",
    "\u{2028}",
    "\u{feff}",
    "@",
    "`",
    "=",
];

#[test]
fn whatever_comes_is_read_or_refused() {
    for seed in 1..4000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let text: String = (0..random.below(40)).map(|_| random.pick(PIECES)).collect();
        match load_all(&text, &Options::default()) {
            Ok(documents) => {
                for document in documents {
                    assert!(!document.root.to_value().to_json().is_empty());
                }
            }
            Err(failure) => {
                assert!(failure.first().render("f", &text).contains("f:"));
            }
        }
    }
}

#[test]
fn what_is_written_reads_back() {
    for seed in 1..4000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let value = random_value(&mut random, 0);
        for style in [EmitStyle::people(), EmitStyle::pyyaml()] {
            let text = emit(&value, &style);
            let back =
                crate::value(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
            assert_eq!(back, value, "seed {seed}:\n{text}");
        }
    }
}

fn random_value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth > 3 { 6 } else { 9 }) {
        0 => Value::Null,
        1 => Value::Bool(random.below(2) == 0),
        2 => Value::from(random.below(1000)),
        3 => Value::Float(1.5 * f64::from(u32::try_from(random.below(1000)).unwrap())),
        4 | 5 => {
            let text: String = (0..random.below(12)).map(|_| random.pick(PIECES)).collect();
            Value::from(text)
        }
        6 | 7 => (0..random.below(4))
            .map(|_| random_value(random, depth + 1))
            .collect(),
        _ => {
            let entries: squall_value::Dict = (0..random.below(4))
                .map(|_| {
                    (
                        random.pick(PIECES).to_owned(),
                        random_value(random, depth + 1),
                    )
                })
                .collect();
            Value::from(entries)
        }
    }
}

/// The place of a finding holds the keys around it; quoted in each other they would fill any memory.
#[test]
fn keys_of_keys_of_keys_are_refused_in_little_space() {
    for nested in [
        format!("{}a\n: {{[b]: c}}", "? ".repeat(60)),
        format!("{}a{}: {{[b]: c}}", "{".repeat(60), "}".repeat(60)),
        format!("? {}x{}\n: [b: {{[c]: d}}]", "[".repeat(60), "]".repeat(60)),
    ] {
        let failure = value(&nested).expect_err(&nested);
        for diagnostic in &failure.diagnostics {
            assert!(
                diagnostic.path.len() < 1000,
                "{nested}: {}",
                diagnostic.path
            );
        }
    }
}

/// Where the indentation leaves no room, every word is on a line of its own.
#[test]
fn long_texts_far_to_the_right_read_back() {
    for text in [
        "z   - [\u{1f018} !!",
        "\u{1f600}  b  \u{7}  c ",
        "   \u{2028} x\u{85} y",
    ] {
        let mut nested = Value::from(text);
        for _ in 0..60 {
            nested = squall_value::list![nested];
        }
        for style in [EmitStyle::people(), EmitStyle::pyyaml()] {
            let written = emit(&nested, &style);
            assert_eq!(value(&written).unwrap(), nested, "{written:?}");
        }
    }
}
