use squall_env::FakeEnv;
use squall_store::MemoryStore;

use squall_value::Dict;

use super::*;

fn directory() -> (Arc<FakeEnv>, Arc<Directory>) {
    let (env, directory) = plain();
    (env, Arc::new(directory))
}

fn plain() -> (Arc<FakeEnv>, Directory) {
    let env = Arc::new(FakeEnv::new(3));
    let clock: Arc<dyn Env> = env.clone();
    let tokens = Arc::new(ActionTokens::new(
        [1; 32],
        Duration::from_secs(60),
        Arc::clone(&clock),
    ));
    let settings = Settings {
        bcrypt_cost: 4,
        failures_max: 2,
        address_failures_max: 5,
        ..Settings::default()
    };
    (
        env,
        Directory::new(Arc::new(MemoryStore::new()), clock, settings, tokens),
    )
}

#[tokio::test]
async fn passwords_open_and_wrong_ones_are_throttled() {
    let (env, directory) = directory();
    assert!(directory.is_empty().await.unwrap());
    directory.set_password("ann", "secret").await.unwrap();
    directory
        .check_password("ann", "secret", None)
        .await
        .unwrap();
    for _ in 0..2 {
        let refused = directory.check_password("ann", "wrong", None).await;
        assert!(matches!(refused, Err(Error::Credentials)));
    }
    let refused = directory.check_password("ann", "secret", None).await;
    assert!(matches!(refused, Err(Error::Throttled { .. })));
    env.advance(Duration::from_secs(61));
    directory
        .check_password("ann", "secret", None)
        .await
        .unwrap();
    let unknown = directory.check_password("bob", "secret", None).await;
    assert!(matches!(unknown, Err(Error::Credentials)));
}

#[tokio::test]
async fn an_address_that_tries_many_names_is_throttled() {
    let (env, directory) = directory();
    directory.set_password("ann", "secret").await.unwrap();
    let (one, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
    for number in 0..directory.settings.address_failures_max {
        let name = format!("user{number}");
        let refused = directory.check_password(&name, "wrong", one).await;
        assert!(matches!(refused, Err(Error::Credentials)), "{refused:?}");
    }
    let refused = directory.check_password("ann", "secret", one).await;
    assert!(matches!(refused, Err(Error::Throttled { .. })));
    let check = directory.check_password("ann", "secret", other);
    check.await.unwrap();
    env.advance(Duration::from_secs(61));
    let check = directory.check_password("ann", "secret", one);
    check.await.unwrap();
}

#[tokio::test]
async fn the_addresses_of_one_network_are_one_guesser() {
    let (_, directory) = directory();
    directory.set_password("ann", "secret").await.unwrap();
    for number in 0..directory.settings.address_failures_max {
        let from = format!("2001:db8:0:7::{number:x}").parse().ok();
        let name = format!("user{number}");
        let refused = directory.check_password(&name, "wrong", from).await;
        assert!(matches!(refused, Err(Error::Credentials)), "{refused:?}");
    }
    for (address, is_refused) in [
        ("2001:db8:0:7:ffff::1", true),
        ("2001:db8:0:8::1", false),
        ("::ffff:192.0.2.1", false),
    ] {
        let from = address.parse().ok();
        let answer = directory.check_password("ann", "secret", from).await;
        assert_eq!(answer.is_err(), is_refused, "{address}: {answer:?}");
    }
}

#[tokio::test]
async fn who_hangs_up_has_guessed_all_the_same() {
    let (_, directory) = directory();
    directory.set_password("ann", "secret").await.unwrap();
    for _ in 0..directory.settings.failures_max {
        let mut guess = Box::pin(directory.check_password("ann", "wrong", None));
        let begun = std::future::poll_fn(|context| {
            std::task::Poll::Ready(guess.as_mut().poll(context).is_pending())
        });
        assert!(begun.await, "it was answered at once");
    }
    // All permits are back when the guesses have been checked.
    let all = u32::try_from(CHECKS_MAX).unwrap();
    drop(directory.checks.acquire_many(all).await.unwrap());
    let refused = directory.check_password("ann", "secret", None).await;
    assert!(
        matches!(refused, Err(Error::Throttled { .. })),
        "{refused:?}"
    );
}

/// Knows one name, and no other.
#[derive(Debug)]
struct One(&'static str, &'static str);

#[async_trait::async_trait]
impl Backend for One {
    async fn check(&self, user: &str, password: &str) -> Result<Verdict, Unavailable> {
        if password == "broken" {
            return Err(Unavailable {
                place: "the other place".to_owned(),
                source: "it is closed".into(),
            });
        }
        Ok(match (user == self.0, password == self.1) {
            (true, true) => Verdict::Right,
            (true, false) => Verdict::Wrong,
            (false, _) => Verdict::Unknown,
        })
    }
}

#[tokio::test]
async fn the_first_back_end_that_knows_a_name_decides() {
    let (_, directory) = plain();
    let directory = directory
        .with_backend(Arc::new(One("bob", "first")))
        .with_backend(Arc::new(One("bob", "second")))
        .with_backend(Arc::new(One("ann", "elsewhere")));
    let directory = Arc::new(directory);
    directory.set_password("ann", "secret").await.unwrap();
    let check = |user, password| directory.check_password(user, password, None);
    check("ann", "secret").await.unwrap();
    check("bob", "first").await.unwrap();
    for (user, password) in [("ann", "elsewhere"), ("bob", "second"), ("eve", "first")] {
        let refused = check(user, password).await;
        assert!(matches!(refused, Err(Error::Credentials)), "{user}");
    }
    let refused = check("bob", "broken").await;
    assert!(matches!(refused, Err(Error::Unavailable(_))));
    // Who was let in is a user now, who has no password here.
    let bob = directory.user("bob").await.unwrap().unwrap();
    assert!(!crate::users::has_password(&bob));
    assert!(directory.user("eve").await.unwrap().is_none());
    check("bob", "first").await.unwrap();
}

#[tokio::test]
async fn guesses_sent_at_once_are_throttled_too() {
    let (_, directory) = directory();
    directory.set_password("ann", "secret").await.unwrap();
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let directory = Arc::clone(&directory);
        guesses.spawn(async move { directory.check_password("ann", "wrong", None).await });
    }
    let answers = guesses.join_all().await;
    let checked = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Error::Credentials)))
        .count();
    // Two may fail; one more may have been under way beside the second.
    assert!((2..=3).contains(&checked), "{checked} guesses were checked");
}

#[tokio::test]
async fn tokens_are_recognised_until_they_end() {
    let (env, directory) = directory();
    let life = Some(Duration::from_secs(30));
    let issued = directory
        .issue("ann", life, Value::empty_dict())
        .await
        .unwrap();
    assert!(!issued.document.key.contains(&issued.token));
    assert_eq!(
        &*directory
            .by_token(&issued.token)
            .await
            .unwrap()
            .unwrap()
            .user,
        "ann"
    );
    assert_eq!(directory.by_token("nonsense").await.unwrap(), None);
    env.advance(Duration::from_secs(31));
    assert_eq!(directory.by_token(&issued.token).await.unwrap(), None);
    let again = directory
        .issue("ann", None, Value::empty_dict())
        .await
        .unwrap();
    assert!(directory.revoke(&again.token).await.unwrap());
    assert_eq!(directory.by_token(&again.token).await.unwrap(), None);
    let (key, _) = directory
        .make_api_key("bot", Dict::new(), true)
        .await
        .unwrap();
    assert_eq!(
        &*directory.by_api_key(&key).await.unwrap().unwrap().user,
        "bot"
    );
}

#[tokio::test]
async fn actions_of_who_is_removed_are_refused_at_once() {
    let (env, directory) = directory();
    let tokens = Arc::clone(&directory.action_tokens);
    let make = |user| tokens.make(user, "5f3a00112233445566778899");
    directory.set_password("ann", "secret").await.unwrap();
    let (ann, bob) = (make("ann"), make("bob"));
    assert!(directory.by_token(&ann).await.unwrap().is_some());
    assert!(directory.remove_user("ann").await.unwrap());
    assert_eq!(directory.by_token(&ann).await.unwrap(), None);
    assert!(directory.by_token(&bob).await.unwrap().is_some());
    // Who comes back under the same name is somebody new.
    env.advance(Duration::from_secs(2));
    directory.set_password("ann", "secret").await.unwrap();
    assert!(directory.by_token(&make("ann")).await.unwrap().is_some());
    assert_eq!(directory.by_token(&ann).await.unwrap(), None);
    // Actions that were asked for before may start later.
    assert!(directory.remove_user("ann").await.unwrap());
    env.advance(Duration::from_secs(2));
    assert_eq!(directory.by_token(&make("ann")).await.unwrap(), None);
}

#[tokio::test]
async fn who_is_removed_or_gets_a_new_password_is_signed_out() {
    let (_, directory) = directory();
    directory.set_password("ann", "first").await.unwrap();
    let sign_in = || directory.issue("ann", None, Value::empty_dict());
    let token = sign_in().await.unwrap().token;
    assert!(directory.by_token(&token).await.unwrap().is_some());
    directory.set_password("ann", "second").await.unwrap();
    assert_eq!(directory.by_token(&token).await.unwrap(), None);
    let service = UserChange {
        service: Some(true),
        ..UserChange::default()
    };
    let user = directory.put_user("ann", service).await.unwrap();
    assert!(crate::users::is_service(&user));
    assert!(
        !Value::from(crate::users::shown(&user))
            .to_json()
            .contains("$2")
    );
    directory
        .check_password("ann", "second", None)
        .await
        .unwrap();
    let token = sign_in().await.unwrap().token;
    let (key, _) = directory
        .make_api_key("ann", Dict::new(), true)
        .await
        .unwrap();
    assert!(directory.remove_user("ann").await.unwrap());
    assert!(!directory.remove_user("ann").await.unwrap());
    assert_eq!(directory.by_token(&token).await.unwrap(), None);
    assert_eq!(directory.by_api_key(&key).await.unwrap(), None);
    let refused = directory.check_password("ann", "second", None).await;
    assert!(matches!(refused, Err(Error::Credentials)));
}
