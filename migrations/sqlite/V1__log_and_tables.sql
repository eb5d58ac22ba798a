-- Accounts, rooms and the log of each room. Times are milliseconds since 1970, UTC.
-- Never edited after a release: what changes gets a file of its own.
-- Text is compared byte by byte (SQLite's BINARY collation). Foreign keys stand only where no lock that
-- the writer holds anyway (a room's row) already proves the parent's presence.

-- What belongs to the database as a whole. log_epoch: random, made once; changes when the log may have gone back.
CREATE TABLE IF NOT EXISTS meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The keys are the names folded (NFKC, caseless) by the program.
CREATE TABLE IF NOT EXISTS users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    username      TEXT NOT NULL,
    username_key  TEXT NOT NULL,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL,
    full_name     TEXT,
    password_hash TEXT,
    kind          TEXT NOT NULL CHECK (kind IN ('person', 'bot')),
    role          TEXT NOT NULL CHECK (role IN ('admin', 'user')),
    is_active     INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    last_seen_at  INTEGER
) STRICT;
-- That an address is taken once.
CREATE UNIQUE INDEX IF NOT EXISTS users_email ON users (email_key);
-- Log-in by name, search by a name's beginning, and that a name is taken once. The newest index is
-- checked first: where both are taken, the name is said to be, as on MySQL.
CREATE UNIQUE INDEX IF NOT EXISTS users_username ON users (username_key);

-- Log-ins. Of the refresh token only the SHA-256 is kept.
CREATE TABLE IF NOT EXISTS auth_sessions (
    id           INTEGER PRIMARY KEY,
    user_id      INTEGER NOT NULL REFERENCES users (id),
    refresh_hash BLOB NOT NULL,
    user_agent   TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER
) STRICT;
-- A refresh finds its log-in by the token's hash.
CREATE UNIQUE INDEX IF NOT EXISTS auth_sessions_refresh ON auth_sessions (refresh_hash);
-- A user's log-ins, to be listed and ended.
CREATE INDEX IF NOT EXISTS auth_sessions_user ON auth_sessions (user_id);

-- last_seq and rev are the room's heads; settings_rev is the rev that last changed this row's settings.
-- What lies below first_seq and first_rev was purged. name_key: the name folded, for searches.
CREATE TABLE IF NOT EXISTS rooms (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL CHECK (kind IN ('public', 'private', 'direct')),
    name         TEXT NOT NULL,
    name_key     TEXT NOT NULL,
    topic        TEXT NOT NULL,
    direct_key   TEXT,
    created_by   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    archived_at  INTEGER,
    deleted_at   INTEGER,
    last_seq     INTEGER NOT NULL,
    rev          INTEGER NOT NULL,
    settings_rev INTEGER NOT NULL,
    member_count INTEGER NOT NULL,
    first_seq    INTEGER NOT NULL DEFAULT 1,
    first_rev    INTEGER NOT NULL DEFAULT 1
) STRICT;
-- One direct room per pair.
CREATE UNIQUE INDEX IF NOT EXISTS rooms_direct ON rooms (direct_key);
-- The list of public rooms by rising id.
CREATE INDEX IF NOT EXISTS rooms_kind ON rooms (kind, id);

-- Who has left keeps the row, with left_at: his leaving is a change that others must be able to read.
CREATE TABLE IF NOT EXISTS room_members (
    room_id       INTEGER NOT NULL,
    user_id       INTEGER NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    joined_at     INTEGER NOT NULL,
    joined_seq    INTEGER NOT NULL,
    joined_rev    INTEGER NOT NULL,
    left_at       INTEGER,
    last_read_seq INTEGER NOT NULL,
    notify        TEXT NOT NULL DEFAULT 'all' CHECK (notify IN ('all', 'mentions', 'none')),
    rev           INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;
-- What changed in a room after N. Unique: one row changed, one rev.
CREATE UNIQUE INDEX IF NOT EXISTS room_members_rev ON room_members (room_id, rev);
-- The rooms of a user.
CREATE INDEX IF NOT EXISTS room_members_user ON room_members (user_id, room_id);

-- The log. Clustered by (room, seq): a page of history is one range. With 1,000 messages in each of 1,000
-- rooms a page of 50 is read in half the time that a table by rowid takes, and written as fast; only while
-- the rooms are all but empty is the latter faster to write (1.6 times).
CREATE TABLE IF NOT EXISTS messages (
    room_id    INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    rev        INTEGER NOT NULL,
    id         BLOB NOT NULL CHECK (length(id) = 16),
    sender_id  INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    content    TEXT,
    extra      TEXT,
    reply_to   INTEGER,
    created_at INTEGER NOT NULL,
    edited_at  INTEGER,
    deleted_at INTEGER,
    pinned_at  INTEGER,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;
-- Sending is idempotent for ever: an author's id is stored once per room.
CREATE UNIQUE INDEX IF NOT EXISTS messages_id ON messages (room_id, sender_id, id);
-- What changed in a room after N. Unique: one row changed, one rev.
CREATE UNIQUE INDEX IF NOT EXISTS messages_rev ON messages (room_id, rev);
