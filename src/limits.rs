//! The bounds and deadlines that clients, operators or several files meet, with the relations between them asserted when
//! the program is compiled. `/api/info` and `ready` serve those that a client needs ([`crate::protocol::rest::Limits`]).
//! A number that only shapes the work of one file, such as the first pause between retries, is in that file.
//!
//! Names carry the units: `_BYTES`, `_CHARS` (Unicode scalar values). Times are [`Duration`]s.

use std::time::Duration;

// What people type.
pub const USERNAME_CHARS_MIN: usize = 3;
pub const USERNAME_CHARS_MAX: usize = 32;
/// At most this many marks stand on one letter of a username (UTS #39, section 5.4).
pub const NAME_MARKS_MAX: usize = 4;
pub const EMAIL_CHARS_MAX: usize = 254;
/// The part of an address before the `@`.
pub const EMAIL_LOCAL_BYTES_MAX: usize = 64;
pub const PASSWORD_BYTES_MIN: usize = 8;
pub const PASSWORD_BYTES_MAX: usize = 256;
/// The least length of a key that signs access tokens.
pub const SECRET_BYTES_MIN: usize = 32;
pub const FULL_NAME_CHARS_MAX: usize = 80;
/// Bytes of each form by which a user's name is found: an index holds it.
pub const NAME_FORM_BYTES_MAX: usize = 1_000;
pub const ROOM_NAME_CHARS_MAX: usize = 80;
pub const TOPIC_CHARS_MAX: usize = 250;
pub const CONTENT_CHARS_MAX: usize = 8_000;
pub const REF_BYTES_MAX: usize = 64;
/// Ids in JSON stay below 2^53, so that every JSON reader holds them exactly.
pub const ID_MAX: u64 = (1 << 53) - 1;

// What a request may ask for.
/// A client's frame or a request's body.
pub const REQUEST_BYTES_MAX: usize = 128 * 1024;
/// A frame that the server sends: half of what common libraries accept by default.
pub const FRAME_BYTES_MAX: usize = 512 * 1024;
/// What is read of a larger body, and discarded, so that its sender sees the answer.
pub const BODY_DISCARDED_BYTES_MAX: usize = 1024 * 1024;
/// Of the name of a field or parameter that doesn't exist, so much is repeated in the answer.
pub const FIELD_NAME_CHARS_MAX: usize = 64;
/// Fields that don't exist and that one answer names.
pub const UNKNOWN_FIELDS_MAX: usize = 16;
pub const IDS_PER_REQUEST_MAX: usize = 100;
pub const SYNC_ROOMS_MAX: usize = 1_000;
pub const ROOMS_PER_USER_MAX: usize = 1_000;
pub const LIST_ITEMS_DEFAULT: usize = 50;
pub const LIST_ITEMS_MAX: usize = 200;
/// Messages played back to a room socket (`?history=`).
pub const REPLAY_DEFAULT: usize = 50;
pub const REPLAY_MAX: usize = 200;
pub const SNIPPET_CHARS: usize = 100;
pub const EMOJI_BYTES_MAX: usize = 64;
/// Different emoji under one message.
pub const REACTION_KINDS_MAX: usize = 20;
/// Users that are named with the count of an emoji.
pub const REACTION_USERS_MAX: usize = 50;
/// People that one text may mention.
pub const MENTIONS_MAX: usize = 50;
/// Different names that are looked up for one text; further ones mention nobody. This is enough for [`MENTIONS_MAX`] names in a
/// text without spaces, each followed by nine more letters.
pub const MENTION_NAMES_MAX: usize = 512;
/// In larger rooms only the owner and admins may mention all.
pub const MENTION_ALL_ROOM_MAX: u64 = 100;
/// Unread mentions that are told by their seq, and deleted messages above a marker.
pub const MENTIONED_MAX: usize = 100;
/// A room's last message is looked for among this many; if all of them are deleted, it has none.
pub const LAST_MESSAGE_REACH: u64 = 100;
pub const SEARCH_CHARS_MAX: usize = 200;
pub const SEARCH_WORDS_MAX: usize = 20;
/// A search ends after this time.
pub const SEARCH_DEADLINE: Duration = Duration::from_secs(4);
/// Texts that are examined for one page of a search for words side by side.
pub const SEARCH_CANDIDATES: usize = 500;
/// Searches that the database of a node works at; more wait, at most [`STATEMENT_DEADLINE`].
pub const SEARCHES_AT_ONCE: usize = 4;
/// About so much of a found text is shown.
pub const SEARCH_SNIPPET_CHARS: usize = 160;

// The log.
/// Database connections for reading that may be configured.
pub const DATABASE_POOL_MAX: usize = 1_000;
/// Prepared statements that a database connection keeps.
pub const STATEMENTS_CACHED: usize = 128;
/// How often a read on MySQL is tried before its error is returned.
pub const READ_TRIES_MAX: usize = 3;
/// How long a node waits for another one that migrates the database.
pub const MIGRATION_LOCK_WAIT: Duration = Duration::from_secs(60);
/// Appends that share one transaction.
pub const BATCH_ROWS_MAX: usize = 256;
/// The changes a second above which a writer of the log spaces its transactions.
pub const PACED_CHANGES: f64 = 400.0;
/// The least time between the beginnings of two such transactions.
pub const COMMIT_INTERVAL: Duration = Duration::from_millis(4);
/// Appends that wait for a transaction. One more is refused with `unavailable`.
pub const APPEND_QUEUE_MAX: usize = 8_192;
/// What the texts of all appends that wait or run may hold together. One more is refused, too.
pub const APPEND_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long an append may wait for its commit before its sender hears `unavailable`.
pub const APPEND_DEADLINE: Duration = Duration::from_secs(10);
/// A lock that is waited for, or one statement, inside an append.
pub const LOCK_WAIT: Duration = Duration::from_secs(2);
pub const STATEMENT_DEADLINE: Duration = Duration::from_secs(5);
/// How often a starting server logs how far it is with data that it derives anew.
pub const DERIVED_LOG_INTERVAL: Duration = Duration::from_secs(5);
/// MySQL closes a database connection that was idle for so long, and MariaDB one that was idle within a transaction: else a
/// machine that vanishes holds its locks for hours.
pub const DB_IDLE_WAIT: Duration = Duration::from_secs(30);
pub const TRANSACTION_WAIT: Duration = Duration::from_secs(5);
/// A database connection that was idle for longer isn't used any more: the server may be closing it.
pub const DB_IDLE_MAX: Duration = Duration::from_secs(20);
/// The least packet that the database server must take: the longest text's words fit it.
pub const PACKET_BYTES_MIN: usize = 1024 * 1024;
/// How often the same cause is logged while requests fail because of it.
pub const LOGGED_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Changed rows in one page of a sync.
pub const SYNC_PAGE_ROWS: usize = 500;
/// The text that is held at once for one page of the log; a row more may come on top. 500 ordinary messages fit, and a connection that
/// reads slowly holds [`SYNC_PARALLEL`] pages.
pub const LOG_PAGE_BYTES: usize = 128 * 1024;
/// Beyond this many changes a client reloads the room instead of catching up.
pub const SYNC_CHANGES_MAX: u64 = 100_000;
/// Rooms of one connection that catch up at the same time.
pub const SYNC_PARALLEL: usize = 4;
/// Markers are part of member lists in rooms of at most this many members.
pub const MARKERS_ROOM_MAX: u64 = 100;
/// How often the heads of live rooms are compared with the table.
pub const HEADS_INTERVAL: Duration = Duration::from_secs(5);
pub const HEADS_PER_STATEMENT: usize = 1_000;
/// How often the files of an SQLite database are examined, and how long pages may change in its own file before the program that
/// writes there has said that they come from its write-ahead log.
pub const FILES_INTERVAL: Duration = Duration::from_millis(250);
pub const FILES_DOUBT: Duration = Duration::from_secs(1);
/// How often a full disk is tried again, and how often it is logged at most if writes succeed now and then.
pub const DISK_RETRY: Duration = Duration::from_millis(250);
pub const DISK_LOG_INTERVAL: Duration = Duration::from_secs(30);
/// Pages of a database that a backup copies before it checks whether it was stopped.
pub const BACKUP_PAGES: i32 = 1_000;

// The search index.
/// Events that wait for the index, and what they may take together. What finds no place is read from the log.
pub const INDEX_EVENTS_MAX: usize = 10_000;
pub const INDEX_EVENTS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long changes wait, so that several are indexed together.
pub const INDEX_PAUSE: Duration = Duration::from_millis(300);
/// The index is stored, and shows what is new, at most this often.
pub const INDEX_COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// The pause after an error of the database.
pub const INDEX_RETRY: Duration = Duration::from_secs(1);
/// The pause after a failure of the index, before it is opened again.
pub const INDEX_REOPEN: Duration = Duration::from_secs(5);
/// How often all rooms are searched for changes that were not indexed.
pub const INDEX_SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Messages read from the log at once, and what their texts may hold together.
pub const INDEX_PAGE_ROWS: usize = 1_000;
pub const INDEX_PAGE_BYTES: usize = 512 * 1024;
/// The longest time for which words of deleted messages may stay in the files of the index.
pub const SEARCH_PURGE_MAX: Duration = Duration::from_secs(90 * 86_400);
/// The memory for words that aren't stored yet: the least that the index takes.
pub const INDEX_MEMORY: usize = 15_000_000;
/// The niceness of the threads that index: those that serve come first.
pub const INDEX_NICENESS: i32 = 10;

// Live delivery.
/// A mailbox: what one connection may leave unread before its rooms stop delivering to it.
pub const MAILBOX_BYTES_MAX: usize = 128 * 1024;
pub const MAILBOX_FRAMES_MAX: usize = 1_024;
/// Membership notices that wait for a connection. One more closes it with 4001.
pub const NOTICES_MAX: usize = 1_024;
/// A connection stops reading requests while the client has this much of its answers to read.
pub const ANSWERS_BYTES_MAX: usize = 32 * 1024;
/// Commands that wait for a room's task, and what the events among them may hold together. An event beyond that is
/// dropped, and read from the log.
pub const ROOM_QUEUE_MAX: usize = 1_024;
pub const ROOM_QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// Recent events that a room keeps, to attach connections that have just caught up; and as many again that arrived before
/// the ones between.
pub const RING_EVENTS_MAX: usize = 512;
pub const RING_BYTES_MAX: usize = 256 * 1024;
/// Subscribers served before a fan-out lets other tasks of its thread run.
pub const FANOUT_CHUNK: usize = 128;
/// Bytes of events that a room writes to a socket at once. The rest of such a write is the most that a mailbox holds
/// beyond its bound.
pub const FANOUT_BYTES: usize = MAILBOX_BYTES_MAX / 4;
/// Commands that a room's task takes from its queue before it delivers.
pub const ROOM_TURN_COMMANDS: usize = 256;
/// How long a room waits before it reads the log again after a read that failed or brought nothing new.
pub const GAP_RETRY: Duration = Duration::from_millis(500);
/// Bytes of a catch-up page that a connection writes before it waits for its socket.
pub const CATCH_UP_CHUNK_BYTES: usize = 64 * 1024;
/// Chunks of a mailbox that one vectored write takes.
pub const MAILBOX_CHUNKS_PER_WRITE: usize = 32;

// Ephemeral frames.
/// Presence is pushed within direct rooms and rooms of at most this many members.
pub const PRESENCE_ROOM_MAX: u64 = 200;
/// The least time between two presence frames to one connection, and the ids in one.
pub const PRESENCE_INTERVAL: Duration = Duration::from_secs(2);
pub const PRESENCE_IDS_MAX: usize = 200;
/// Ids of `ready.online`.
pub const ONLINE_MAX: usize = 2_000;
/// How long a user is still online without a connection.
pub const OFFLINE_GRACE: Duration = Duration::from_secs(5);
/// Typing is told in rooms with at most this many live connections, and of one user at most once in this interval.
pub const TYPING_SUBSCRIBERS_MAX: usize = 200;
pub const TYPING_INTERVAL: Duration = Duration::from_secs(2);
/// How long others' markers wait, so that several go out together.
pub const MARKERS_INTERVAL: Duration = Duration::from_millis(500);

// Connections.
pub const CONNECTIONS_MAX: usize = 18_000;
pub const CONNECTIONS_PER_USER_MAX: usize = 20;
/// One host has one of so many shares of the connections, unless the operator sets another number: many people may be
/// behind one address.
pub const SHARES_OF_CONNECTIONS: usize = 4;
/// When a host that has all of its share open is told to try again.
pub const HOST_RETRY: Duration = Duration::from_secs(5);
/// Connections above a host's share that are told so at the same time. More are dropped in silence.
pub const TURNED_AWAY_MAX: usize = 256;
/// What each body may hold without being counted.
pub const BODY_BYTES_FREE: usize = 8 * 1024;
/// What is held of bodies beyond that while they arrive, in all and of one host. More are refused until some are complete.
pub const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
pub const BODIES_BYTES_OF_ONE_MAX: usize = 16 * 1024 * 1024;
/// What a socket may send before it is authenticated: a token and the frame around it.
pub const AUTH_BYTES_MAX: usize = 2 * TOKEN_BYTES_MAX;
/// The read buffer of a socket. It grows while a larger frame or line is read.
pub const READ_BUFFER_BYTES: usize = 1_024;
/// From a request's first byte to the end of its head; on a new connection from its beginning.
pub const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// A connection from an answer to the first byte of the next request: longer than the 60 s for which proxies keep theirs, so
/// that a request doesn't meet a connection that is being closed.
pub const KEPT_DEADLINE: Duration = Duration::from_secs(75);
/// A connection's buffer for what it reads and writes. A longer request head is refused. Each connection may fill it
/// before it is authenticated.
pub const HTTP_BUFFER_BYTES_MAX: usize = 16 * 1024;
/// The pause after an error of accept(), such as when file descriptors run out.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections to the listener for metrics, which don't count for [`CONNECTIONS_MAX`]. More wait in the
/// kernel's queue.
pub const METRICS_CONNECTIONS_MAX: usize = 16;
/// File descriptors kept for everything but clients' connections: the log, the pool, files, the metrics.
pub const FILES_RESERVED: usize = 256;
pub const READY_DEADLINE: Duration = Duration::from_secs(2);
/// `hearth health`, from the connection to the answer.
pub const HEALTH_DEADLINE: Duration = Duration::from_secs(2);
/// What `hearth health` reads of the answer's first line: a server of this program's answers with less.
pub const HEALTH_LINE_BYTES_MAX: u64 = 256;
pub const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// A request from its last byte to its answer.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
/// From the upgrade, or over TCP from the beginning, to a valid token.
pub const AUTH_DEADLINE: Duration = Duration::from_secs(10);
pub const HEARTBEAT: Duration = Duration::from_secs(30);
/// A connection with something to write that takes no byte for this long is closed with 4001.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// For the closing handshake, after which the connection is dropped.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// Close 4004 comes at a random time up to this long after the token's expiry.
pub const EXPIRY_SPREAD: Duration = Duration::from_secs(60);
/// Bad frames within [`STRIKES_WINDOW`] that close a connection with 4504.
pub const STRIKES_MAX: usize = 3;
pub const STRIKES_WINDOW: Duration = Duration::from_secs(60);
/// While a message's outcome is unknown, how long its room takes no other message of that socket.
pub const HOLD_DEADLINE: Duration = Duration::from_secs(10);
/// What the sender of another message is told to wait for meanwhile.
pub const HOLD_RETRY: Duration = Duration::from_millis(500);

// Tokens.
/// The longest life of an access token that may be configured, or that is accepted.
pub const ACCESS_TTL_MAX: Duration = Duration::from_secs(24 * 3_600);
pub const REFRESH_TTL_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);
/// How far clocks may differ where an access token's end is checked.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(2);
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;
/// Exchanges of refresh tokens whose time this node remembers, so that a stepping clock doesn't change it.
pub const EXCHANGES_REMEMBERED: usize = 10_000;
/// How long sessions, invites and links are kept after they expired: while a clock is wrong by less, nothing is
/// deleted that is still valid.
pub const CLOCK_MARGIN: Duration = Duration::from_secs(24 * 3_600);
/// Refresh tokens that one request may show in cookies of the same name. More are ignored.
pub const REFRESH_COOKIES_MAX: usize = 8;
/// Sessions that are cached, with their user or as ended, and for how long.
pub const SESSIONS_CACHED: usize = 10_000;
pub const SESSION_CACHED_FOR: Duration = Duration::from_secs(5);
/// Counters, shared by users, that invalidate what is cached of their sessions.
pub const SESSION_GENERATIONS: usize = 1_024;
/// How long a refresh token that was exchanged may be shown again by the same device, whose answer was lost.
pub const REFRESH_GRACE: Duration = Duration::from_secs(10);
/// Sessions of one user. Another one ends the one that was used least recently.
pub const SESSIONS_PER_USER_MAX: usize = 100;
/// How often every node looks for sessions that ended elsewhere.
pub const REVOCATIONS_INTERVAL: Duration = Duration::from_millis(500);
/// Ids of revocations are not in commit order, so each poll re-reads this long, which is longer than any transaction can run.
pub const REVOCATIONS_WINDOW: Duration = Duration::from_secs(30);
/// Revocations that are read at once.
pub const REVOCATIONS_PAGE: usize = 1_000;
/// How long revocations are kept, for nodes whose database was away.
pub const REVOCATIONS_KEPT: Duration = Duration::from_secs(24 * 3_600);
pub const USER_AGENT_CHARS_MAX: usize = 200;

// Invites and links that set a new password.
/// Invites of one user that can still be used.
pub const INVITES_PER_USER_MAX: usize = 100;
pub const INVITE_USES_MAX: u64 = 1_000;
pub const INVITE_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
pub const RESET_TTL: Duration = Duration::from_secs(24 * 3_600);
/// How often pending jobs are looked for, and how many are read at once.
pub const PENDING_JOBS_INTERVAL: Duration = Duration::from_secs(5);
pub const PENDING_JOBS_PAGE: usize = 100;
/// A request that found an account not deleted is over after so long, its append included, whatever the clocks of two nodes say.
pub const DELETION_SETTLED_AFTER: Duration = Duration::from_secs(180);
/// Rows of expired sessions, invites and the like that one statement deletes, and how many such statements follow each other. Together they
/// delete more than can be written until the next ones, after [`PRUNE_INTERVAL`].
pub const DELETED_AT_ONCE: usize = 1_000;
pub const DELETION_ROUNDS: usize = 100;

// Passwords.
pub const PASSWORD_QUEUE_MAX: usize = 50;
/// The most memory that a hash may be configured, or found, to take.
pub const ARGON2_MEMORY_KIB_MAX: u32 = 4 * 1024 * 1024;
/// The most passes and lanes that a hash may be configured to take.
pub const ARGON2_PASSES_MAX: u32 = 100;
pub const ARGON2_LANES_MAX: u32 = 64;
/// How long a password may wait to be hashed: as long as a change for its commit. The queue's length is what
/// bounds the work: what is in it is done even if the machine stalls.
pub const PASSWORD_DEADLINE: Duration = Duration::from_secs(10);
/// The highest cost at which a bcrypt hash from elsewhere is verified: about a second of one core.
pub const BCRYPT_COST_MAX: u32 = 14;

// Guesses at passwords (lifted by HEARTH_RATE_LIMITS=off): so many at once, then one in each interval.
/// By network: all pupils of a school may use one.
pub const NETWORK_GUESSES: u32 = 200;
pub const NETWORK_GUESS_INTERVAL: Duration = Duration::from_millis(500);
/// At one account from one network.
pub const PAIR_GUESSES: u32 = 10;
pub const PAIR_GUESS_INTERVAL: Duration = Duration::from_secs(60);
/// How often a right password renews its network's guesses: the time in which all of them come back anyway.
pub const GUESSES_RENEWED_AFTER: Duration =
    Duration::from_secs(PAIR_GUESSES as u64 * PAIR_GUESS_INTERVAL.as_secs());
/// At one account from all networks together, without those from which its user logged in.
pub const ACCOUNT_GUESSES: u32 = 100;
pub const ACCOUNT_GUESS_INTERVAL: Duration = Duration::from_secs(15);
/// By everybody, new accounts included.
pub const ALL_GUESSES: u32 = 1_000;
pub const ALL_GUESSES_INTERVAL: Duration = Duration::from_millis(20);
/// New accounts by network.
pub const REGISTRATIONS: u32 = 60;
pub const REGISTRATION_INTERVAL: Duration = Duration::from_secs(10);
/// Pairs of account and network that are counted one by one. Beyond that networks are limited as a whole, and beyond so
/// many networks all together.
pub const GUESS_KEYS_MAX: usize = 50_000;
/// Pairs of account and network that are remembered because the account's user logged in from there.
pub const HOMES_MAX: usize = 100_000;

// Limits by user (lifted by HEARTH_RATE_LIMITS=off).
pub const SENDS_PER_SECOND: u32 = 20;
pub const SENDS_BURST: u32 = 100;
/// Changes of rooms and memberships, and markers.
pub const CHANGES_PER_SECOND: u32 = 20;
pub const CHANGES_BURST: u32 = 1_000;
/// Exchanges of refresh tokens, of all sessions together: each used token is kept for long.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(5);
pub const REFRESHES_BURST: u32 = 200;
/// Lookups of refresh tokens, by network. A lookup needs no access token.
pub const NETWORK_REFRESH_INTERVAL: Duration = Duration::from_millis(20);
pub const NETWORK_REFRESHES: u32 = 2_000;
/// Rows that a user may have read, by REST and by sockets that catch up: a first sync of a thousand rooms on twenty devices
/// at once stays within it.
pub const READ_ROWS_PER_SECOND: u32 = 20_000;
pub const READ_ROWS_BURST: u32 = 4_000_000;
/// What a request that reads, or a page of catching up, counts beside its rows.
pub const READ_ROWS: u32 = 100;
/// What a request that searches texts counts.
pub const READ_TEXT_ROWS: u32 = 1_000;
/// What each room of a `sync` or `join` counts.
pub const READ_ROOM_ROWS: u32 = 10;
/// How long a read waits for rows before it is refused, and the least pause between two looks.
pub const READ_PATIENCE: Duration = Duration::from_secs(1);
pub const READ_PAUSE: Duration = Duration::from_millis(50);
/// Reads of one user that a node's database works at, for a pool of so many connections. More wait, at most
/// [`STATEMENT_DEADLINE`], and one more than may wait is refused.
pub const READS_AT_ONCE: usize = 2;
pub const READS_AT_ONCE_POOL: usize = 8;
pub const READS_WAITING_MAX: usize = 1_000;
/// When a read is to be tried again that was refused because too many wait.
pub const READS_RETRY: Duration = Duration::from_secs(1);
pub const SEARCHES_PER_SECOND: u32 = 2;
pub const SEARCHES_BURST: u32 = 20;
pub const SOCKETS_PER_MINUTE: u32 = 60;
pub const SOCKETS_BURST: u32 = 40;
pub const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How often the limiters forget users who have been inactive.
pub const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// When a request is to be tried again that the server couldn't serve.
pub const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);

// Shutdown, in order.
/// Clients that are told to go away come back after a random time up to this.
pub const RECONNECT_SPREAD: Duration = Duration::from_secs(5);
pub const DRAIN_CONNECTIONS: Duration = Duration::from_secs(5);
/// How long the search index may take to store what it has.
pub const DRAIN_SEARCH: Duration = Duration::from_secs(5);
pub const DRAIN_LOG: Duration = Duration::from_secs(15);
/// How long the process waits for work on other threads.
pub const STOP_THREADS: Duration = Duration::from_secs(1);

const _: () = {
    assert!(
        CONTENT_CHARS_MAX * 4 < REQUEST_BYTES_MAX,
        "the longest text fits a frame"
    );
    // In JSON a character takes six bytes at most, an id 16 and a comma.
    assert!(
        CONTENT_CHARS_MAX * 6
            + REACTION_KINDS_MAX * (EMOJI_BYTES_MAX * 2 + REACTION_USERS_MAX * 17 + 64)
            + MENTIONS_MAX * 17
            + 4096
            <= MAILBOX_BYTES_MAX,
        "the longest message with all of its reactions fits an empty mailbox"
    );
    assert!(
        (ROOM_NAME_CHARS_MAX
            + TOPIC_CHARS_MAX
            + SNIPPET_CHARS
            + 2 * (USERNAME_CHARS_MAX + FULL_NAME_CHARS_MAX))
            * 6
            + (2 * MENTIONED_MAX + ONLINE_MAX) * 17
            + 8192
            <= FRAME_BYTES_MAX,
        "the largest room fits a frame `ready` beside its other fields"
    );
    assert!(MAILBOX_BYTES_MAX < FRAME_BYTES_MAX);
    assert!(
        MAILBOX_BYTES_MAX >= REQUEST_BYTES_MAX,
        "any one event fits an empty mailbox"
    );
    assert!(
        ROOM_QUEUE_MAX * 1024 <= ROOM_QUEUE_BYTES_MAX && RING_EVENTS_MAX * 512 <= RING_BYTES_MAX,
        "with messages of ordinary length the bound in number is met before the one in bytes"
    );
    assert!(
        MENTION_NAMES_MAX >= MENTIONS_MAX * 10,
        "each mention may be followed by nine letters that could belong to its name"
    );
    assert!(BATCH_ROWS_MAX < APPEND_QUEUE_MAX);
    assert!(
        BATCH_ROWS_MAX * CONTENT_CHARS_MAX * 4 < APPEND_QUEUE_BYTES_MAX / 2,
        "while a batch of the longest texts is written, the next one may wait"
    );
    assert!(
        2 * FILES_INTERVAL.as_millis() + FILES_DOUBT.as_millis() < 2_000,
        "2 s after the files of a database were changed nothing is acknowledged any more"
    );
    assert!(
        READ_ROWS_PER_SECOND as u64 * READ_PATIENCE.as_secs()
            > (READ_ROWS + SYNC_ROOMS_MAX as u32 * READ_ROOM_ROWS) as u64 + SYNC_PAGE_ROWS as u64,
        "the rows of the largest sync and of a page come back within the time that a read waits"
    );
    assert!(
        REQUEST_BYTES_MAX * 100 < BODIES_BYTES_OF_ONE_MAX,
        "one host may send a hundred of the largest bodies at once"
    );
    assert!(BODIES_BYTES_OF_ONE_MAX < BODIES_BYTES_MAX);
    assert!(LOCK_WAIT.as_millis() < STATEMENT_DEADLINE.as_millis());
    assert!(STATEMENT_DEADLINE.as_millis() < APPEND_DEADLINE.as_millis());
    assert!(APPEND_DEADLINE.as_millis() < REQUEST_DEADLINE.as_millis());
    assert!(
        PASSWORD_DEADLINE.as_millis() + APPEND_DEADLINE.as_millis() < REQUEST_DEADLINE.as_millis(),
        "a registration waits for its hash and then for its row within one request"
    );
    assert!(TRANSACTION_WAIT.as_millis() < APPEND_DEADLINE.as_millis());
    assert!(
        DB_IDLE_MAX.as_millis() + STATEMENT_DEADLINE.as_millis() < DB_IDLE_WAIT.as_millis(),
        "the database server closes no connection while a statement begins on it"
    );
    assert!(APPEND_DEADLINE.as_millis() < DRAIN_LOG.as_millis());
    assert!(
        APPEND_DEADLINE.as_millis() < REVOCATIONS_WINDOW.as_millis(),
        "a revocation is committed within the time that each poll reads again"
    );
    assert!(
        BODY_DEADLINE.as_secs() + REQUEST_DEADLINE.as_secs() + APPEND_DEADLINE.as_secs() + 60
            <= DELETION_SETTLED_AFTER.as_secs(),
        "the clocks of two nodes may differ by a minute"
    );
    assert!(TOKEN_BYTES_MAX < HTTP_BUFFER_BYTES_MAX);
    assert!(HEADER_DEADLINE.as_secs() < KEPT_DEADLINE.as_secs());
    assert!(REPLAY_MAX <= SYNC_PAGE_ROWS);
    assert!(LIST_ITEMS_DEFAULT <= LIST_ITEMS_MAX && REPLAY_DEFAULT <= REPLAY_MAX);
    assert!(CONNECTIONS_PER_USER_MAX < CONNECTIONS_MAX);
    assert!(METRICS_CONNECTIONS_MAX < FILES_RESERVED / 2);
    assert!(
        PAIR_GUESS_INTERVAL.as_secs() >= 4 * ACCOUNT_GUESS_INTERVAL.as_secs(),
        "those who guess from fewer than four networks leave guesses to the account's owner elsewhere"
    );
    assert!(
        PRESENCE_ROOM_MAX as usize <= PRESENCE_IDS_MAX,
        "the members of the largest room with presence fit one presence frame"
    );
};
