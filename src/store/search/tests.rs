//! How the databases go about a search.

use std::sync::Arc;

use mysql_async::prelude::Queryable;

use super::*;
use crate::store::{Location, NewRoom, NewUser, Options};

/// A store with two members in each of some rooms: an empty table has another plan.
async fn open(location: Location) -> Store {
    let options = Options::new(location, 2, crate::auth::tokens::sha256);
    let store = Store::open(&options, Arc::new(|_| {})).await.unwrap();
    let mut people = Vec::new();
    for name in ["ada", "bob"] {
        let user = NewUser {
            username: name.into(),
            email: format!("{name}@example.org"),
            full_name: None,
            password_hash: String::new(),
        };
        people.push(store.create_user(user).await.unwrap().user.summary());
    }
    for n in 0..20 {
        let room = NewRoom {
            kind: RoomKind::Public,
            name: format!("room {n}"),
            topic: String::new(),
            owner: people[0].clone(),
            members: vec![people[1].clone()],
        };
        store.create_room(room).await.unwrap().unwrap();
    }
    store
}

/// The plan's rows, each as the words of its columns, for each kind of filter.
async fn plans(store: &Store, explain: &str) -> Vec<Vec<String>> {
    let query = Query::parse("word \"a phrase\" beg*").unwrap();
    let all = SearchFilter {
        user_id: UserId(1),
        room_id: None,
        from: None,
        after: None,
    };
    let narrow = SearchFilter {
        room_id: Some(RoomId(1)),
        from: Some(UserId(1)),
        after: Some("9.1.1".parse().unwrap()),
        ..all
    };
    let mut plans = Vec::new();
    for filter in [all, narrow] {
        let (statement, params) = statement(store.db(), &query, filter, 50);
        let statement = statement.replacen(SELECT_ON_MYSQL, "SELECT", 1);
        let rows = store
            .db()
            .query(format!("{explain} {statement}"), params)
            .await
            .unwrap();
        let columns = |row: &Row| {
            let words = (0..row.0.len()).filter_map(|column| row.str(column).ok());
            words.collect::<Vec<_>>().join(" ")
        };
        plans.push(rows.iter().map(columns).collect());
    }
    plans
}

#[tokio::test]
async fn sqlite_searches_by_the_index() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(Location::Sqlite(directory.path().join("hearth.db"))).await;
    for plan in plans(&store, "EXPLAIN QUERY PLAN").await {
        let has = |step: &str| plan.iter().any(|line| line.contains(step));
        assert!(
            has("SCAN f VIRTUAL TABLE INDEX") && has("SEARCH w USING INTEGER PRIMARY KEY"),
            "{plan:#?}"
        );
        assert!(
            has("SEARCH p USING PRIMARY KEY") && has("SEARCH m USING PRIMARY KEY"),
            "{plan:#?}"
        );
        let scans = plan.iter().filter(|line| line.contains("SCAN"));
        assert_eq!(
            scans.count(),
            2,
            "the index, and the page's places: {plan:#?}"
        );
    }
    store.close().await;
}

#[tokio::test]
async fn mysql_searches_by_the_index() {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by scripts/with-mariadb"
    )]
    let Ok(server) = std::env::var("HEARTH_TEST_MYSQL") else {
        return;
    };
    let name = format!("t_search_{}", uuid::Uuid::new_v4().simple());
    let mut conn = mysql_async::Conn::from_url(&server).await.unwrap();
    conn.query_drop(format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let store = open(Location::Mysql(format!("{server}/{name}"))).await;
    let plans = plans(&store, "EXPLAIN").await;
    store.close().await;
    conn.query_drop(format!("DROP DATABASE {name}"))
        .await
        .unwrap();
    for plan in plans {
        let has = |step: &str| plan.iter().any(|line| line.contains(step));
        assert!(
            has("w fulltext") && has(" message_words_tokens 0"),
            "{plan:#?}"
        );
        // With one room and one user the membership is one row, read first.
        for table in ["p", "r", "m", "u"] {
            let by_key = ["eq_ref", "const"].map(|access| has(&format!("{table} {access}")));
            assert!(by_key.contains(&true), "{table}: {plan:#?}");
        }
    }
}
