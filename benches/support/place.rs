//! A store on a database of its own, removed with it.

use std::sync::Arc;

use hearth::{
    auth::tokens::sha256,
    protocol::rest::UserSummary,
    store::{CommitHook, Location, NewUser, Options, Store},
};
use tempfile::TempDir;

use crate::database::{Db, Schema};

/// Where the rows go; removed with the value.
#[allow(dead_code, reason = "held to be dropped")]
enum Place {
    Sqlite(TempDir),
    MariaDb(Schema),
}

/// An open store and its place.
pub struct Placed {
    pub store: Store,
    #[allow(dead_code, reason = "not every benchmark writes behind the store")]
    pub location: Location,
    _place: Place,
}

#[allow(dead_code, reason = "not every benchmark is content with silence")]
pub async fn open(db: Db) -> Placed {
    open_heard(db, Arc::new(|_| {})).await
}

/// As [`open`], with somebody who hears of the commits.
pub async fn open_heard(db: Db, commit_hook: CommitHook) -> Placed {
    let (place, location) = match db {
        Db::Sqlite => {
            let dir = TempDir::new().unwrap();
            let location = Location::Sqlite(dir.path().join("hearth.db"));
            (Place::Sqlite(dir), location)
        }
        Db::MariaDb => {
            let schema = Schema::create().await;
            let location = Location::Mysql(schema.url.clone());
            (Place::MariaDb(schema), location)
        }
    };
    let options = Options::new(location.clone(), 4, sha256);
    let store = Store::open(&options, commit_hook).await.unwrap();
    Placed {
        store,
        location,
        _place: place,
    }
}

impl Placed {
    pub async fn users(&self, count: usize) -> Vec<UserSummary> {
        let mut users = Vec::new();
        for number in 0..count {
            let user = NewUser {
                username: format!("member{number}"),
                email: format!("member{number}@example.org"),
                full_name: None,
                password_hash: String::new(),
            };
            users.push(self.store.create_user(user).await.unwrap().user.summary());
        }
        users
    }
}
