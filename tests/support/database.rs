//! Which database a test runs on. MariaDB is the server that `scripts/with-mariadb` started; each test server gets a database
//! of its own on it.

use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::prelude::Queryable;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    MariaDb,
}

/// Declares a test on each database for an `async fn name(db: Db)`.
#[macro_export]
macro_rules! each_database {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::support::Db::Sqlite).await;
                }
            )+
        }
        mod mariadb {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::support::Db::MariaDb).await;
                }
            )+
        }
    };
}
pub use each_database;

/// As [`each_database`], of tests that only `make soak` runs: long forms of shorter tests.
#[macro_export]
macro_rules! soak_each_database {
    ($($name:ident),+ $(,)?) => {
        mod soak {
            mod sqlite {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    #[ignore = "make soak"]
                    async fn $name() {
                        super::super::$name($crate::support::Db::Sqlite).await;
                    }
                )+
            }
            mod mariadb {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    #[ignore = "make soak"]
                    async fn $name() {
                        super::super::$name($crate::support::Db::MariaDb).await;
                    }
                )+
            }
        }
    };
}
pub use soak_each_database;

/// The server's address without a database's name: `mysql://USER:PASSWORD@HOST:PORT`.
pub fn mariadb() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by scripts/with-mariadb"
    )]
    std::env::var("HEARTH_TEST_MYSQL")
        .expect("run the tests through `make test`, which starts MariaDB")
}

/// A database of its own on MariaDB, dropped with the value.
pub struct Schema {
    pub url: String,
    server: String,
    name: String,
}

impl Schema {
    pub async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "hearth_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let server = mariadb();
        run(&server, &format!("CREATE DATABASE {name}")).await;
        Self {
            url: format!("{server}/{name}"),
            server,
            name,
        }
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let deadline = std::time::Duration::from_secs(10);
                let _ =
                    tokio::time::timeout(deadline, run(&server, &format!("DROP DATABASE {name}")))
                        .await;
            });
        });
        let _ = dropping.join();
    }
}

async fn run(server: &str, sql: &str) {
    let mut connection = mysql_async::Conn::from_url(server)
        .await
        .expect("MariaDB answers");
    connection.query_drop(sql).await.expect(sql);
    let _ = connection.disconnect().await;
}
