//! Servers, singleton work and fences.

use squall_model::Lease;

use super::{World, at, insert, text};
use crate::{Command, Refusal};

fn hold(name: &str, holder: u64, until: i64) -> Command {
    Command::HoldLease {
        name: text(name),
        holder: Lease(holder),
        until: at(until),
    }
}

/// The first who asks gets the work, and keeps it by asking again.
pub async fn leases_are_taken_and_kept(world: &World) {
    world.hold(1, vec![hold("timers", 1, 10)]).await;
    assert_eq!(
        world.refuse(2, vec![hold("timers", 2, 20)]).await,
        (0, Refusal::Leased)
    );
    world.hold(2, vec![hold("sensor:a", 2, 20)]).await;
    world.hold(9, vec![hold("timers", 1, 19)]).await;
    assert_eq!(
        world.refuse(15, vec![hold("timers", 2, 30)]).await,
        (0, Refusal::Leased)
    );
    // Even after its time the holder may go on, as long as nobody else took over.
    world.hold(25, vec![hold("timers", 1, 35)]).await;
}

/// Work whose holder is late goes to whoever asks next.
pub async fn leases_are_taken_over_after_expiry(world: &World) {
    world.hold(1, vec![hold("timers", 1, 10)]).await;
    assert_eq!(
        world.refuse(9, vec![hold("timers", 2, 20)]).await,
        (0, Refusal::Leased)
    );
    world.hold(10, vec![hold("timers", 2, 20)]).await;
    assert_eq!(
        world.refuse(11, vec![hold("timers", 1, 30)]).await,
        (0, Refusal::Leased)
    );
}

/// The holder, and nobody else, can give work up.
pub async fn leases_are_given_up(world: &World) {
    let release = |holder| Command::ReleaseLease {
        name: text("timers"),
        holder: Lease(holder),
    };
    world.hold(1, vec![release(1)]).await;
    world.hold(1, vec![hold("timers", 1, 100)]).await;
    world.hold(2, vec![release(2)]).await;
    assert_eq!(
        world.refuse(2, vec![hold("timers", 2, 100)]).await,
        (0, Refusal::Leased)
    );
    world.hold(3, vec![release(1)]).await;
    world.hold(3, vec![hold("timers", 2, 100)]).await;
    world
        .hold(4, vec![release(2), hold("timers", 3, 100)])
        .await;
    assert_eq!(
        world.refuse(5, vec![hold("timers", 2, 100)]).await,
        (0, Refusal::Leased)
    );
}

/// No two starts share a number, not even after the former was retired.
pub async fn servers_get_increasing_leases(world: &World) {
    let store = &world.store;
    let first = store.register_server("a:1", "boot-1", at(20)).await;
    let first = first.expect("registered");
    assert!(first.lease > Lease::NONE);
    assert_eq!(
        (&*first.name, &*first.boot, first.until),
        ("a:1", "boot-1", at(20))
    );
    let second = store.register_server("b:1", "boot-2", at(20)).await;
    let second = second.expect("registered");
    assert!(second.lease > first.lease);
    assert_eq!(
        store.servers().await.expect("readable"),
        vec![first.clone(), second.clone()]
    );
    store.retire_server(second.lease).await.expect("retired");
    store
        .retire_server(second.lease)
        .await
        .expect("retired before");
    assert_eq!(store.servers().await.expect("readable"), vec![first]);
    let third = store.register_server("b:2", "boot-2", at(40)).await;
    assert!(third.expect("registered").lease > second.lease);
}

/// A server renews its entry until it is taken for dead; then it must stop.
pub async fn servers_renew_while_alive(world: &World) {
    let store = &world.store;
    let server = store
        .register_server("a:1", "boot", at(20))
        .await
        .expect("registered");
    let renew = async |now, until| {
        let renewed = store.renew_server(server.lease, at(now), at(until)).await;
        renewed.expect("answered")
    };
    assert!(renew(10, 30).await);
    assert_eq!(store.servers().await.expect("readable")[0].until, at(30));
    assert!(renew(29, 40).await);
    assert!(!renew(40, 60).await);
    let gone = store
        .register_server("b:1", "boot", at(20))
        .await
        .expect("registered");
    store.retire_server(gone.lease).await.expect("retired");
    let renewed = store.renew_server(gone.lease, at(5), at(60)).await;
    assert!(!renewed.expect("answered"));
}

/// A server that was taken for dead cannot write what it fences.
pub async fn the_dead_are_fenced(world: &World) {
    let store = &world.store;
    let server = store
        .register_server("a:1", "boot", at(20))
        .await
        .expect("registered");
    let fenced = || {
        vec![
            insert(&world.execution("core.noop", 1)),
            Command::RequireServer(server.lease),
        ]
    };
    world.hold(19, fenced()).await;
    assert_eq!(world.refuse(20, fenced()).await, (1, Refusal::Leased));
    let renewed = store.renew_server(server.lease, at(19), at(40)).await;
    assert!(renewed.expect("answered"));
    world.hold(20, fenced()).await;
    store.retire_server(server.lease).await.expect("retired");
    assert_eq!(world.refuse(21, fenced()).await, (1, Refusal::Leased));
    let unknown = vec![Command::RequireServer(Lease(9_999))];
    assert_eq!(world.refuse(1, unknown).await, (0, Refusal::Leased));
    let listed = store
        .executions(&Default::default(), crate::Page::first(0))
        .await;
    assert_eq!(listed.expect("readable").total, 2);
}
