use super::*;

/// Format, command, and the parameters as JSON or the reason why it does not match. All were seen
/// on the first implementation of the language.
const CASES: &str = include_str!("cases.tsv");

#[test]
fn commands_are_read() {
    for line in CASES.lines().filter(|line| !line.starts_with('#')) {
        let [format, command, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns: {line}");
        };
        let got = match Format::new(format) {
            Err(error) => format!("error: {error}"),
            Ok(format) => match format.read(command) {
                Ok(parameters) => sorted(&parameters),
                Err(_) => "no match".to_owned(),
            },
        };
        assert_eq!(got, expected, "{format} | {command}");
    }
}

fn sorted(parameters: &Dict) -> String {
    let mut members: Vec<_> = parameters.iter().collect();
    members.sort_by(|a, b| a.0.cmp(b.0));
    let members = members.into_iter();
    let sorted: Dict = members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Value::from(sorted).to_json()
}

#[test]
fn a_format_may_fit_several_times() {
    let format = Format::new(r"(?P<action>start|stop) (?P<host>\w+)(?=\s|$)|^never$").unwrap();
    let all = format.read_all("start web stop db").unwrap();
    let texts: Vec<String> = all.iter().map(sorted).collect();
    assert_eq!(
        texts,
        [
            r#"{"action":"start","host":"web"}"#,
            r#"{"action":"stop","host":"db"}"#
        ]
    );
    assert!(format.read_all("nothing").is_err());
}

#[test]
fn hostile_commands_end_soon() {
    let format = Format::new("say {{ a }} {{ b }} {{ c=1 }}").unwrap();
    let command = format!("say {}", "a=\"b ".repeat(5_000));
    // Whether it matches does not matter; that there is an answer does.
    let _ = format.read(&command);
}

#[test]
fn a_format_is_a_regular_expression_on_its_own() {
    for format in ["? now", "restart (web"] {
        assert!(Format::new(format).is_err(), "{format}");
    }
}
