//! Files of the search index that can't be written, or that another program changed: the chat goes on without them.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::support::{Account, Db, PATIENCE, Server, SmallDisk, each_database, timeout};

async fn send(account: &Account, room: u64, content: &str) {
    let path = format!("/api/chat/rooms/{room}/messages");
    let (status, answer) = account.post(&path, json!({"content": content})).await;
    assert_eq!(status, 201, "{answer}");
}

async fn search(account: &Account, word: &str) -> Value {
    let path = format!("/api/chat/search?q={word}&near=no");
    let (status, answer) = account.get(&path).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Asks until so many are found by an index that is complete, or isn't.
async fn until_found(account: &Account, word: &str, count: usize, complete: bool) {
    let mut last = Value::Null;
    let found = async {
        loop {
            last = search(account, word).await;
            let found = last["items"].as_array().unwrap().len();
            if found == count && last["complete"] == complete {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = timeout(PATIENCE, found).await;
    assert!(found.is_ok(), "{word}: {last}");
}

/// The database is on another disk.
async fn a_full_disk_stops_the_index_alone(db: Db) {
    let Some(disk) = SmallDisk::mount(8) else {
        return;
    };
    let database = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite://{}/hearth.db", database.path().display());
    let mut settings = vec![("HEARTH_DATA_DIR", disk.path().to_str().unwrap())];
    if db == Db::Sqlite {
        settings.push(("HEARTH_DATABASE_URL", &url));
    }
    let server = Server::start_with(db, &settings).await;
    let ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    send(&ada, room, "kettle one").await;
    until_found(&ada, "kettle", 1, true).await;
    disk.fill();
    for n in 0..50 {
        send(&ada, room, &format!("kettle {n}")).await;
    }
    // It is opened again and again. What was stored is found meanwhile.
    until_found(&ada, "kettle", 1, false).await;
    send(&ada, room, "kettle, the last one").await;
    let told = "the search index can't be written";
    assert_eq!(server.log().matches(told).count(), 1, "{}", server.log());
    disk.empty();
    until_found(&ada, "last", 1, true).await;
    until_found(&ada, "one", 2, true).await;
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let (directories, mut files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    files.extend(directories.iter().flat_map(|path| self::files(path)));
    files
}

/// What a server left that was killed, or that another program has written over meanwhile.
async fn changed_files_are_made_anew(db: Db) {
    let mut server = Server::start_with(db, &[]).await;
    let mut ada = server.register("ada").await;
    let room = ada.create_room("hall", &[]).await;
    send(&ada, room, "kettle").await;
    let directory = server.dir().join("data/search");
    let damages: [fn(&Path); 4] = [
        |file| fs::write(file, "").unwrap(),
        |file| fs::write(file, vec![0; fs::metadata(file).unwrap().len() as usize]).unwrap(),
        |file| fs::write(file, "a later version's").unwrap(),
        |file| fs::remove_file(file).unwrap(),
    ];
    for damage in damages {
        until_found(&ada, "kettle", 1, true).await;
        server.kill().await;
        files(&directory).iter().for_each(|file| damage(file));
        server.restart().await;
        ada = server.here(&ada);
        send(&ada, room, "pot").await;
        until_found(&ada, "kettle", 1, true).await;
    }
    // Another version's index.
    server.kill().await;
    let other = directory.join("another-99");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("meta.json"), "{}").unwrap();
    server.restart().await;
    until_found(&server.here(&ada), "kettle", 1, true).await;
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

each_database!(
    a_full_disk_stops_the_index_alone,
    changed_files_are_made_anew,
);
