//! The files of the search index: damaged ones are made anew, and what was deleted leaves them.

use std::{fs, path::Path, time::Duration};

use hearth::{
    protocol::rest::RoomKind,
    search::{Feed, Search},
};

use crate::node::Place;
use crate::patience::{PATIENCE, timeout};
use crate::search::{DAY, all_of, delete, find_all};

/// The files of the index below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What is done to the files of an index.
type Damage = fn(&Path);

/// Whatever is done to the files of an index that nobody uses, the next start finds everything.
pub async fn damaged_files_are_made_anew(place: Place) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("search");
    let node = place.node().await;
    let ada = node.user().await;
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    for n in 0..20 {
        node.write(room, &ada, &format!("kettle number{n}")).await;
    }
    let search = || Search::start(node.store.clone(), Feed::default(), path.clone(), DAY);
    let first = search();
    first.flush().await;
    first.close().await;
    let names: Vec<String> = files(&path)
        .iter()
        .filter_map(|file| Some(file.extension()?.to_str()?.to_owned()))
        .collect();
    assert!(names.contains(&"term".to_owned()), "{names:?}");
    let damages: [(&str, Damage); 7] = [
        ("all files are gone", |path| {
            fs::remove_dir_all(path).unwrap()
        }),
        ("the list of parts is gone", |path| {
            let meta = files(path)
                .into_iter()
                .find(|file| file.ends_with("meta.json"));
            fs::remove_file(meta.unwrap()).unwrap();
        }),
        ("the list of parts is cut", |path| cut(path, "meta.json")),
        ("words are gone", |path| {
            let words = files(path)
                .into_iter()
                .find(|file| file.extension().is_some_and(|end| end == "term"));
            fs::remove_file(words.unwrap()).unwrap();
        }),
        ("words are cut", |path| cut(path, ".term")),
        ("columns are cut", |path| cut(path, ".fast")),
        ("a file is in the directory's place", |path| {
            fs::remove_dir_all(path).unwrap();
            fs::create_dir(path).unwrap();
            fs::write(path.join("stray"), "no index").unwrap();
        }),
    ];
    for (what, damage) in damages {
        damage(&path);
        let search = search();
        timeout(PATIENCE, search.flush()).await.expect(what);
        let found = find_all(&search, "kettle", &all_of(&ada), 50).await;
        assert_eq!(found.len(), 20, "{what}");
        search.close().await;
    }
}

/// Cuts the files whose names end so to half of their lengths.
fn cut(directory: &Path, end: &str) {
    let files = files(directory).into_iter();
    let mut cut = 0;
    for path in files.filter(|file| file.to_str().unwrap().ends_with(end)) {
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        cut += 1;
    }
    assert!(cut > 0, "{end}");
}

/// Whether the index's files hold the word, found or not. A merge may take the files away meanwhile: then they are read again.
fn holds(directory: &Path, word: &str) -> bool {
    let read = || -> tantivy::Result<bool> {
        let path = fs::read_dir(directory)?.next().expect("an index")?.path();
        let index = tantivy::Index::open_in_dir(path)?;
        let words = index.schema().get_field("words")?;
        let reader = index.reader()?;
        let mut holds = false;
        for segment in reader.searcher().segment_readers() {
            holds |= segment.inverted_index(words)?.terms().get(word)?.is_some();
        }
        Ok(holds)
    };
    let mut read = (0..100).map(|_| read());
    read.find_map(Result::ok).expect("files that can be read")
}

/// The words of a deleted message leave the files when they are purged.
pub async fn deleted_words_leave_the_files(place: Place) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("search");
    let node = place.node().await;
    let ada = node.user().await;
    let room = node.room(RoomKind::Private, &ada, &[]).await;
    node.write(room, &ada, "xylophone").await;
    node.write(room, &ada, "kettle").await;
    let holds = |word: &str| holds(&path, word);
    let search = Search::start(
        node.store.clone(),
        Feed::default(),
        path.clone(),
        Duration::from_millis(100),
    );
    search.flush().await;
    assert!(holds("xylophone"));
    node.append(delete(room, &ada, 1)).await;
    search.flush().await;
    let gone = async {
        while holds("xylophone") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, gone)
        .await
        .expect("the words leave the files");
    assert!(holds("kettle"));
    let found = find_all(&search, "kettle", &all_of(&ada), 50).await;
    assert_eq!(found.len(), 1);
    search.close().await;
}
