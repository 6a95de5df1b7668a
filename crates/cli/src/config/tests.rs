use std::fs;

use super::*;

struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new(config: &str) -> Home {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("squall")).unwrap();
        fs::write(directory.path().join("squall/config.toml"), config).unwrap();
        Home { directory }
    }

    fn surroundings(&self, variables: &[(&str, &str)]) -> Surroundings {
        let mut surroundings = Surroundings::with(variables);
        let home = self.directory.path().to_str().unwrap().to_owned();
        surroundings
            .variables
            .insert("XDG_CONFIG_HOME".into(), home);
        surroundings
    }

    /// `server (its origin); the credential (its origin)`, with the directory left out.
    fn resolve(&self, options: &GlobalOptions, variables: &[(&str, &str)]) -> String {
        let home = self.directory.path().to_str().unwrap();
        let text = match connection(options, &self.surroundings(variables)) {
            Ok(found) => {
                let credential = match &found.credential {
                    Some(Credential::Token(token)) => format!("token {token}"),
                    Some(Credential::ApiKey(key)) => format!("key {key}"),
                    None => "nobody".to_owned(),
                };
                let from = found.credential_from.unwrap_or_default();
                let (server, origin) = (found.endpoints.base(), found.server_from);
                format!("{server} ({origin}); {credential} ({from})")
            }
            Err(error) => format!("{error}"),
        };
        text.replace(home, "~")
    }
}

const CONFIG: &str = r#"
current = "prod"
[contexts.prod]
server = "https://prod.example.com"
[contexts.lab]
server = "http://lab:9101"
"#;

fn with_server(url: &str) -> GlobalOptions {
    GlobalOptions {
        server: Some(url.to_owned()),
        ..GlobalOptions::default()
    }
}

fn with_context(name: &str) -> GlobalOptions {
    GlobalOptions {
        context: Some(name.to_owned()),
        ..GlobalOptions::default()
    }
}

#[test]
fn options_beat_variables_beat_the_file() {
    let home = Home::new(CONFIG);
    let none = GlobalOptions::default();
    for (options, variables, expect) in [
        (
            &with_server("http://a:1"),
            &[("SQUALL_SERVER", "http://b:2")][..],
            "http://a:1 (--server); nobody ()",
        ),
        (
            &none,
            &[
                ("ST2_API_URL", "http://c:3/v1"),
                ("SQUALL_SERVER", "http://b:2"),
            ],
            "http://b:2 (the environment variable SQUALL_SERVER); nobody ()",
        ),
        (
            &none,
            &[("ST2_API_URL", "https://c/api/v1")],
            "https://c (the environment variable ST2_API_URL); nobody ()",
        ),
        (
            &none,
            &[],
            "https://prod.example.com (context `prod` in ~/squall/config.toml); nobody ()",
        ),
        (
            &with_context("lab"),
            &[("SQUALL_SERVER", "http://b:2")],
            "http://lab:9101 (context `lab` in ~/squall/config.toml); nobody ()",
        ),
        (
            &none,
            &[("SQUALL_CONTEXT", "lab")],
            "http://lab:9101 (context `lab` in ~/squall/config.toml); nobody ()",
        ),
        (
            &with_context("gone"),
            &[],
            "there is no context `gone` with a server: make it with \
             `squall context set gone --server URL`",
        ),
        (
            &with_context("../x"),
            &[],
            "`../x` is no name for a context: letters, digits, `-`, `_` and `.` make one",
        ),
        (
            &with_server("ftp://x"),
            &[],
            "`ftp://x` is no address of a server: it must begin with http:// or https:// \
             (it comes from --server)",
        ),
    ] {
        assert_eq!(home.resolve(options, variables), expect);
    }
    assert_eq!(
        Home::new("").resolve(&none, &[]),
        "http://127.0.0.1:9101 (nowhere: it is the default); nobody ()"
    );
}

#[test]
fn credentials_are_found_in_order() {
    let home = Home::new("");
    let none = GlobalOptions::default();
    let origin = |variables: &[(&str, &str)]| {
        let text = home.resolve(&none, variables);
        text.split_once("; ").unwrap().1.to_owned()
    };
    assert_eq!(
        origin(&[("ST2_API_KEY", "k"), ("ST2_AUTH_TOKEN", "t")]),
        "token t (the environment variable ST2_AUTH_TOKEN)"
    );
    assert_eq!(
        origin(&[("ST2_API_KEY", "k")]),
        "key k (the environment variable ST2_API_KEY)"
    );
    assert_eq!(origin(&[("SQUALL_TOKEN", "")]), "nobody ()");
}

#[test]
fn a_stored_token_is_sent_only_to_its_server() {
    let home = Home::new(CONFIG);
    let store = Store::open(&home.surroundings(&[])).unwrap();
    let token = StoredToken {
        server: "https://prod.example.com".into(),
        user: "bob".into(),
        token: "s3".into(),
        expiry: String::new(),
    };
    let path = store.save_token("prod", &token).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let none = GlobalOptions::default();
    assert!(
        home.resolve(&none, &[])
            .ends_with("token s3 (`squall login` as bob (context `prod`))")
    );
    let other = home.resolve(&with_server("https://evil.example.com"), &[]);
    assert!(other.ends_with("nobody ()"), "{other}");
    assert!(store.forget_token("prod").unwrap());
    assert!(!store.forget_token("prod").unwrap());
    assert!(!path.exists());
}

#[test]
fn a_local_token_stays_on_the_machine() {
    let home = Home::new("");
    let data = home.directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join(TOKEN_FILE), "here\n").unwrap();
    let file = data.join(TOKEN_FILE);
    let (data, file) = (data.to_str().unwrap(), file.to_str().unwrap());
    let none = GlobalOptions::default();
    assert_eq!(
        home.resolve(&none, &[("SQUALL_DATA", data)]),
        "http://127.0.0.1:9101 (nowhere: it is the default); token here (the file ~/data/local-token)"
    );
    let far = with_server("https://far.example.com");
    assert!(
        home.resolve(&far, &[("SQUALL_DATA", data)])
            .ends_with("nobody ()")
    );
    let named = home.resolve(&far, &[("SQUALL_TOKEN_FILE", file)]);
    assert!(
        named.ends_with("token here (the file ~/data/local-token)"),
        "{named}"
    );
    assert!(
        home.resolve(&none, &[("SQUALL_DATA", "/nowhere")])
            .ends_with("nobody ()")
    );
}

#[test]
fn a_running_server_is_found_by_its_data() {
    let home = Home::new("");
    let data = home.directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join(ADDRESS_FILE), "http://127.0.0.1:4711").unwrap();
    let data = data.to_str().unwrap();
    let none = GlobalOptions::default();
    assert_eq!(
        home.resolve(&none, &[("SQUALL_DATA", data)]),
        "http://127.0.0.1:4711 (the file ~/data/address); nobody ()"
    );
    let named = home.resolve(&with_server("http://127.0.0.1:1"), &[("SQUALL_DATA", data)]);
    assert!(
        named.starts_with("http://127.0.0.1:1 (--server)"),
        "{named}"
    );
}

#[test]
fn the_file_survives_a_round() {
    let home = Home::new(CONFIG);
    let store = Store::open(&home.surroundings(&[])).unwrap();
    let mut file = store.load().unwrap();
    file.current = Some("lab".into());
    store.save(&file).unwrap();
    assert_eq!(store.load().unwrap(), file);
    fs::write(store.path(), "current = [").unwrap();
    assert!(
        store
            .load()
            .unwrap_err()
            .to_string()
            .contains("config.toml failed")
    );
}

#[test]
fn a_context_believes_its_own_server_by_its_own_file() {
    let home = Home::new("");
    let path = |name: &str| home.directory.path().join(name);
    for name in ["option", "variable", "context"] {
        fs::write(path(name), name).unwrap();
    }
    let config = format!(
        "current = \"prod\"\n[contexts.prod]\nserver = \"https://prod\"\ncacert = '{}'\n",
        path("context").display()
    );
    fs::write(path("squall/config.toml"), config).unwrap();
    let variable = path("variable").to_str().unwrap().to_owned();
    let option = GlobalOptions {
        cacert: Some(path("option")),
        ..GlobalOptions::default()
    };
    let insecure = GlobalOptions {
        insecure: true,
        ..GlobalOptions::default()
    };
    let missing = GlobalOptions {
        cacert: Some("/nowhere.pem".into()),
        ..GlobalOptions::default()
    };
    let none = GlobalOptions::default();
    let elsewhere = with_server("https://elsewhere");
    for (options, variables, expect) in [
        (&option, &[("SQUALL_CACERT", &*variable)][..], "option"),
        (&none, &[("SQUALL_CACERT", &*variable)], "variable"),
        (&none, &[("ST2_CACERT", &*variable)], "variable"),
        (&none, &[], "context"),
        (&elsewhere, &[], "the system's"),
        (&insecure, &[("SQUALL_CACERT", &*variable)], "anybody"),
        (
            &missing,
            &[],
            "cannot read the trusted certificates in /nowhere.pem (named by --cacert)",
        ),
    ] {
        let shown = match connection(options, &home.surroundings(variables)) {
            Ok(found) => match found.trust {
                Trust::System => "the system's".to_owned(),
                Trust::Anybody => "anybody".to_owned(),
                Trust::Authorities(text) => String::from_utf8(text).unwrap(),
            },
            Err(error) => format!("{error}"),
        };
        assert_eq!(shown, expect);
    }
}

#[test]
fn another_server_is_not_believed_by_the_file_of_the_one_before() {
    let mut entry = ContextEntry::default();
    entry
        .point_at("https://a", Some(Path::new("/a.pem")))
        .unwrap();
    entry.point_at("https://a", None).unwrap();
    assert_eq!(entry.cacert.as_deref(), Some(Path::new("/a.pem")));
    entry.point_at("https://b", None).unwrap();
    assert_eq!(entry.cacert, None);
}
