//! PgBouncer between us and the server: it is worked through if it lends a connection for as long as we are connected, whatever it
//! makes of settings that come with the login, and refused in one line if it does not.

mod postgres_stage;

use bus::Transport;
use orderwright_infrastructure::postgres::{ConnectError, PostgresStore};
use postgres_stage::*;
use testkit::servers::PgBouncer;

/// What it may make of settings that come with a login: by itself it refuses them.
const IGNORING: &str = "ignore_startup_parameters=options";

/// The name of a fresh database.
fn name() -> String {
    let address = database();
    address.rsplit('/').next().expect("an address ends with its database").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_pooler_that_lends_for_a_session_messages_travel_and_those_who_wait_are_woken() {
    for settings in [&[][..], &[IGNORING]] {
        let pooler = PgBouncer::start(server(), "session", settings).unwrap();
        let address = pooler.address(&name());
        let (ours, theirs) = (store_over(&address, 1).await, store_over(&address, 2).await);
        let mut feed = theirs.subscribe("q").await.unwrap();
        for number in 1..=3 {
            publish(&ours, vec![message(number)]).await;
            let received = receive(feed.as_mut(), 1).await;
            assert_eq!(numbers(&received), [number], "{settings:?}");
            settle(&theirs, &received, bus::Disposition::Done).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_lends_for_less_is_refused_in_one_line_that_says_what_to_change() {
    for mode in ["transaction", "statement"] {
        for settings in [&[][..], &[IGNORING], &[IGNORING, "server_round_robin=1"]] {
            let pooler = PgBouncer::start(server(), mode, settings).unwrap();
            let refused = PostgresStore::connect(&pooler.address(&name()), options(&clock(), 1)).await;
            let error = refused.err().unwrap_or_else(|| panic!("{mode} {settings:?} is not refused"));
            assert!(matches!(error, ConnectError::Pooled { .. }), "{mode} {settings:?}: {error}");
            let told = error.to_string();
            assert!(told.contains("set pool_mode = session") && told.lines().count() == 1, "{told}");
        }
    }
}
