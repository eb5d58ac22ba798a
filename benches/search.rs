//! Search in 1,000,000 messages of 1,000 rooms, of which one user is in 100 and another in all: how long the index takes to
//! build, what a search takes, and what the building costs those who write meanwhile. In process, on SQLite, and on MariaDB too
//! when `HEARTH_TEST_MYSQL` names one. `BENCH_MESSAGES` sets another number of messages.
//!
//! With `BENCH_WORDS`, a file of words, and `BENCH_MISSPELLINGS`, a file of lines with a wrong word and the right one, it
//! measures alone how often a search for the wrong word finds the right one.

#[path = "../tests/support/database.rs"]
#[allow(unused_imports, reason = "its macro is the tests'")]
mod database;
#[path = "support/place.rs"]
mod place;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use database::Db;
use hearth::{
    protocol::{RoomId, UserId, rest::UserSummary},
    search::{Feed, Filter, Query, Search},
    store::{Change, Location},
};
use mysql_async::prelude::Queryable;
use nix::sys::resource::{UsageWho, getrusage};
use place::Placed;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::runtime::Runtime;

const ROOMS: u64 = 1_000;
const MINE: u64 = 100;
const VOCABULARY: usize = 50_000;
const WORDS: usize = 10;
const PAGE: usize = 50;
const SEARCHES: usize = 200;
/// Appends a second beside which the index is built, and for how long they run before.
const APPENDS: u64 = 100;
const QUIET: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);

fn main() {
    // `cargo test --benches` only compiles it.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "benchmarks are told by variables"
    )]
    let given = |name| std::env::var(name).ok();
    let messages = given("BENCH_MESSAGES").map_or(1_000_000, |count| count.parse().unwrap());
    let mut databases = vec![Db::Sqlite];
    if std::env::var_os("HEARTH_TEST_MYSQL").is_some() {
        databases.push(Db::MariaDb);
    }
    let runtime = Runtime::new().unwrap();
    if let (Some(words), Some(wrong)) = (given("BENCH_WORDS"), given("BENCH_MISSPELLINGS")) {
        return runtime.block_on(spelling(&words, &wrong));
    }
    for db in databases {
        runtime.block_on(measure(db, messages));
    }
}

async fn measure(db: Db, messages: u64) {
    let feed = Feed::default();
    let heard = feed.clone();
    let hook = Arc::new(move |events: Vec<hearth::store::Event>| heard.note(&events));
    let placed = place::open_heard(db, hook).await;
    let users = placed.users(2).await;
    let vocabulary = Vocabulary::new();
    let mut random = SmallRng::seed_from_u64(0);
    fill(&placed, &users, messages, || vocabulary.text(&mut random)).await;
    println!("\n{db:?}, {messages} messages of {WORDS} words in {ROOMS} rooms\n");

    let directory = tempfile::tempdir().unwrap();
    let (began, cpu) = (Instant::now(), cpu());
    let search = Search::start(placed.store.clone(), feed, directory.path().into(), DAY);
    search.flush().await;
    let (took, cpu) = (began.elapsed(), self::cpu() - cpu);
    println!(
        "index built in {:.1} s, {:.3} ms of CPU a message, {:.0} MB",
        took.as_secs_f64(),
        cpu.as_secs_f64() * 1e3 / messages as f64,
        bytes(directory.path()) as f64 / 1e6,
    );

    println!(
        "\n| a search of | my 100 rooms, p50 / p99 ms | all rooms, p50 / p99 ms |\n|---|---|---|"
    );
    let mut random = SmallRng::seed_from_u64(1);
    for (name, query) in vocabulary.queries() {
        let mut figures = Vec::new();
        for user in &users {
            let mut times = Vec::new();
            for _ in 0..SEARCHES {
                let (text, room_id) = query(&vocabulary, &mut random);
                let filter = filter(user.id, room_id);
                let query = Query::parse(&text).unwrap();
                let began = Instant::now();
                search.find(&query, &filter, None, 0, PAGE).await.unwrap();
                times.push(began.elapsed());
            }
            figures.push(percentiles(times));
        }
        println!("| {name} | {} | {} |", figures[0], figures[1]);
    }

    let quiet = appends(&placed, &users[1], &vocabulary, async {
        tokio::time::sleep(QUIET).await;
    })
    .await;
    let other = tempfile::tempdir().unwrap();
    let beside = appends(&placed, &users[1], &vocabulary, async {
        let path = other.path().into();
        let search = Search::start(placed.store.clone(), Feed::default(), path, DAY);
        search.flush().await;
        search.close().await;
    })
    .await;
    println!(
        "\n{APPENDS} appends a second, p50 / p99 ms: {quiet} quiet, {beside} while an index is built"
    );
    search.close().await;
    placed.store.close().await;
}

/// Each word is a message of its own, so that what is found tells which words are near.
async fn spelling(words: &str, misspellings: &str) {
    let read = |path| std::fs::read_to_string(path).unwrap();
    let words: Vec<String> = read(words).lines().map(str::to_owned).collect();
    let misspellings = read(misspellings);
    let pairs: Vec<(&str, &str)> = misspellings
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let placed = place::open(Db::Sqlite).await;
    let users = placed.users(2).await;
    let mut texts = words.iter().cloned();
    fill(&placed, &users, words.len() as u64, || {
        texts.next().unwrap()
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().into();
    let search = Search::start(placed.store.clone(), Feed::default(), path, DAY);
    search.flush().await;
    let (mut right, mut times) = (0, Vec::new());
    for (wrong, expected) in &pairs {
        let filter = filter(users[1].id, None);
        let query = Query::parse(wrong).unwrap();
        let began = Instant::now();
        let page = search.find(&query, &filter, None, 0, PAGE).await.unwrap();
        times.push(began.elapsed());
        let mut found = page
            .found
            .iter()
            .filter_map(|found| found.message.content.as_deref());
        right += u32::from(found.any(|word| word == *expected));
    }
    println!(
        "{} words, {} misspelt ones: the right one is among the best five in {:.1} %; p50 / p99 ms: {}",
        words.len(),
        pairs.len(),
        100.0 * f64::from(right) / pairs.len() as f64,
        percentiles(times),
    );
    search.close().await;
    placed.store.close().await;
}

/// All that a user's search finds, near words too.
fn filter(user_id: UserId, room_id: Option<RoomId>) -> Filter {
    Filter {
        user_id,
        room_id,
        from: None,
        since: None,
        until: None,
        near: true,
    }
}

/// Appends at a steady rate until `meanwhile` ends.
async fn appends(
    placed: &Placed,
    sender: &UserSummary,
    vocabulary: &Vocabulary,
    meanwhile: impl Future<Output = ()>,
) -> String {
    let mut random = SmallRng::seed_from_u64(2);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / APPENDS as u32);
    let mut sends = tokio::task::JoinSet::new();
    let mut meanwhile = std::pin::pin!(meanwhile);
    loop {
        tokio::select! {
            () = &mut meanwhile => break,
            due = ticks.tick() => {
                let change = Change::Send {
                    room_id: RoomId(1 + random.random_range(0..ROOMS)),
                    sender: sender.clone(),
                    id: uuid::Uuid::now_v7(),
                    content: vocabulary.text(&mut random),
                    reply_to: None,
                    named: Default::default(),
                };
                let store = placed.store.clone();
                sends.spawn(async move {
                    store.append(change).await.unwrap();
                    due.elapsed()
                });
            }
        }
    }
    percentiles(sends.join_all().await)
}

/// Words by falling frequency, as in texts of people: the n-th is as frequent as 1/n.
struct Vocabulary {
    words: Vec<String>,
    /// The sums of the frequencies.
    sums: Vec<f64>,
}

type QueryOf = fn(&Vocabulary, &mut SmallRng) -> (String, Option<RoomId>);

impl Vocabulary {
    fn new() -> Self {
        let syllables: Vec<String> = "bdfgklmnprstvw"
            .chars()
            .flat_map(|consonant| {
                "aeiou"
                    .chars()
                    .map(move |vowel| format!("{consonant}{vowel}"))
            })
            .collect();
        let word = |number: usize| {
            let (mut number, mut word) = (number + 7, String::new());
            while number > 0 {
                word.push_str(&syllables[number % syllables.len()]);
                number /= syllables.len();
            }
            word
        };
        let mut sum = 0.0;
        let sums = (1..=VOCABULARY).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self {
            sums: sums.collect(),
            words: (0..VOCABULARY).map(word).collect(),
        }
    }

    fn word(&self, random: &mut SmallRng) -> &str {
        let at = random.random_range(0.0..self.sums[VOCABULARY - 1]);
        &self.words[self.sums.partition_point(|sum| *sum <= at)]
    }

    fn text(&self, random: &mut SmallRng) -> String {
        let words: Vec<&str> = (0..WORDS).map(|_| self.word(random)).collect();
        words.join(" ")
    }

    fn common(&self, random: &mut SmallRng) -> String {
        self.words[random.random_range(0..30)].clone()
    }

    fn queries(&self) -> [(&'static str, QueryOf); 8] {
        [
            ("one common word", |of, random| (of.common(random), None)),
            ("one word, as frequent as it is written", |of, random| {
                (of.word(random).to_owned(), None)
            }),
            ("two common words", |of, random| {
                (format!("{} {}", of.common(random), of.common(random)), None)
            }),
            ("a phrase of two words", |of, random| {
                (
                    format!("\"{} {}\"", of.word(random), of.common(random)),
                    None,
                )
            }),
            ("a beginning of two letters", |of, random| {
                (format!("{}*", &of.word(random)[..2]), None)
            }),
            ("a rare word", |of, random| {
                (
                    of.words[random.random_range(10_000..VOCABULARY)].clone(),
                    None,
                )
            }),
            ("a misspelt word", |of, random| {
                let mut word = of.words[random.random_range(5_000..VOCABULARY)].clone();
                word.remove(random.random_range(1..word.len()));
                (word, None)
            }),
            ("a common word in one room", |of, random| {
                let room = RoomId(1 + random.random_range(0..MINE));
                (of.common(random), Some(room))
            }),
        ]
    }
}

/// Writes rooms, memberships and messages directly to the database.
async fn fill(
    placed: &Placed,
    users: &[UserSummary],
    messages: u64,
    mut text: impl FnMut() -> String,
) {
    let [narrow, wide] = users else {
        unreachable!()
    };
    let rooms = (1..=ROOMS).map(|room| {
        let last = messages / ROOMS + u64::from(room <= messages % ROOMS);
        format!(
            "({room}, 'public', 'room {room}', 'room {room}', '', {owner}, 0, {last}, {last}, 0, {rev}, 1, 2)",
            owner = wide.id,
            rev = last + 2,
        )
    });
    let rooms = rooms.collect::<Vec<_>>().join(", ");
    let member = |room: u64, user: UserId| format!("({room}, {user}, 'member', 0, 0, 2, 0, 2)");
    let members = (1..=ROOMS).map(|room| member(room, wide.id));
    let members = members.chain((1..=MINE).map(|room| member(room, narrow.id)));
    let members = members.collect::<Vec<_>>().join(", ");
    let mut statements = vec![
        format!(
            "INSERT INTO rooms (id, kind, name, name_key, topic, created_by, created_at, last_seq, shown_seq, deleted_seq, rev, \
             settings_rev, member_count) VALUES {rooms}"
        ),
        format!(
            "INSERT INTO room_members (room_id, user_id, role, joined_at, joined_seq, joined_rev, last_read_seq, rev) VALUES {members}"
        ),
    ];
    let numbers: Vec<u64> = (0..messages).collect();
    for some in numbers.chunks(1_000) {
        let rows = some.iter().map(|n| {
            let (room, seq) = (1 + n % ROOMS, 1 + n / ROOMS);
            let id = uuid::Uuid::from_u128(u128::from(*n)).simple();
            let text = text();
            let at = 1_700_000_000_000 + n * 1_000;
            format!(
                "({room}, {seq}, {}, X'{id}', {}, 'text', '{text}', {at})",
                seq + 2,
                wide.id
            )
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        statements.push(format!(
            "INSERT INTO messages (room_id, seq, rev, id, sender_id, kind, content, created_at) VALUES {rows}"
        ));
    }
    match &placed.location {
        Location::Sqlite(path) => {
            let conn = rusqlite::Connection::open(path).unwrap();
            conn.execute_batch("PRAGMA synchronous = OFF; BEGIN")
                .unwrap();
            for statement in statements {
                conn.execute_batch(&statement).unwrap();
            }
            conn.execute_batch("COMMIT; ANALYZE").unwrap();
        }
        Location::Mysql(url) => {
            let mut conn = mysql_async::Conn::from_url(url).await.unwrap();
            for statement in statements {
                conn.query_drop(statement).await.unwrap();
            }
            conn.query_drop("ANALYZE TABLE messages, rooms, room_members")
                .await
                .unwrap();
            conn.disconnect().await.unwrap();
        }
    }
}

/// The processor time of this process.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1_000)
    };
    time(usage.user_time()) + time(usage.system_time())
}

fn bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let size = |entry: std::fs::DirEntry| {
        let data = entry.metadata().unwrap();
        if data.is_dir() {
            bytes(&entry.path())
        } else {
            data.len()
        }
    };
    entries.map(size).sum()
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!("{:.2} / {:.2}", at(0.5), at(0.99))
}
