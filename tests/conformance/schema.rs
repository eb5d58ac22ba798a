//! The schema: made once, by whoever comes first, and never downgraded.

use hearth::store::{Error, Location, Store, migrate};
use tokio::task::JoinSet;

use crate::world::Place;

fn listener() -> hearth::store::Listener {
    std::sync::Arc::new(|_| {})
}

pub async fn migrations_run_once(place: Place) {
    let options = place.options();
    assert_eq!(migrate::schema_version(&options).await.unwrap(), None);
    let first = migrate::migrate(&options).await.unwrap();
    assert_eq!(first.version, migrate::newest());
    assert_eq!(first.applied.len() as u32, migrate::newest());
    let second = migrate::migrate(&options).await.unwrap();
    assert!(second.applied.is_empty());
    assert_eq!(second.epoch, first.epoch, "an epoch is made once");
    let version = migrate::schema_version(&options).await.unwrap();
    assert_eq!(version, Some(migrate::newest()));
}

pub async fn several_nodes_migrate_at_once(place: Place) {
    let mut nodes = JoinSet::new();
    for _ in 0..6 {
        let options = place.options();
        nodes.spawn(async move {
            let store = Store::open(&options, listener()).await.unwrap();
            store.ping().await.unwrap();
            let epoch = store.epoch();
            store.close().await;
            epoch
        });
    }
    let epochs = nodes.join_all().await;
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
}

pub async fn a_newer_schema_is_refused(place: Place) {
    let options = place.options();
    migrate::migrate(&options).await.unwrap();
    let newer = migrate::newest() + 1;
    place
        .meddle(&format!(
            "INSERT INTO schema_history (version, name, applied_on, checksum) \
             VALUES ({newer}, 'from_the_future', '2030-01-01T00:00:00Z', '1')"
        ))
        .await;
    for refused in [
        migrate::migrate(&options).await.map(drop),
        Store::open(&options, listener()).await.map(drop),
    ] {
        let Err(Error::Schema(why)) = refused else {
            panic!("{refused:?}");
        };
        assert!(
            why.contains("newer") && why.contains(&newer.to_string()),
            "{why}"
        );
    }
    assert_eq!(
        migrate::schema_version(&options).await.unwrap(),
        Some(newer)
    );
}

pub async fn a_reset_leaves_nothing(place: Place) {
    let options = place.options();
    let store = Store::open(&options, listener()).await.unwrap();
    let before = store.epoch();
    store.close().await;
    place.meddle("CREATE TABLE somebody_elses (id INT)").await;
    migrate::reset(&options).await.unwrap();
    assert_eq!(migrate::schema_version(&options).await.unwrap(), None);
    place.meddle("INSERT INTO somebody_elses VALUES (1)").await;
    let store = Store::open(&options, listener()).await.unwrap();
    assert_ne!(store.epoch(), before, "another log, another epoch");
    store.close().await;
}

pub async fn an_epoch_stays(place: Place) {
    let mut epochs = Vec::new();
    for _ in 0..2 {
        let store = Store::open(&place.options(), listener()).await.unwrap();
        epochs.push(store.epoch());
        store.close().await;
    }
    assert_eq!(epochs[0], epochs[1]);
    place
        .meddle("UPDATE meta SET value = 'after a restore' WHERE name = 'log_epoch'")
        .await;
    let store = Store::open(&place.options(), listener()).await.unwrap();
    assert_eq!(&*store.epoch(), "after a restore");
    store.close().await;
    // A half-done migration is repeated: MySQL commits each statement by itself.
    if let Location::Mysql(_) = place.location {
        place.meddle("DROP TABLE messages").await;
        place.meddle("DELETE FROM schema_history").await;
        let report = migrate::migrate(&place.options()).await.unwrap();
        assert_eq!(report.epoch, "after a restore");
        assert_eq!(report.applied.len() as u32, migrate::newest());
    }
}
