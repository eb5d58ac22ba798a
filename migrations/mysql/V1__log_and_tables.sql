-- Accounts, rooms and the log of each room, for MySQL 8 and MariaDB 10.6 or newer. Times are milliseconds
-- since 1970, UTC. Never edited after a release: what changes gets a file of its own. MySQL commits each
-- statement of a schema by itself, so each can be repeated after a run that was cut off.
--
-- Keys that are text are VARBINARY: of the collations that compare byte by byte, utf8mb4_bin ignores trailing
-- spaces and the ones that don't have different names on MySQL and MariaDB. Other text is utf8mb4_bin.
-- No foreign key hangs on a room: all of a room's writers hold its row's lock, and a check would lock it twice.

-- What belongs to the database as a whole. log_epoch: random, made once; changes when the log may have gone back.
CREATE TABLE IF NOT EXISTS meta (
    name  VARBINARY(64)  NOT NULL PRIMARY KEY,
    value VARBINARY(255) NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The keys are the names folded (NFKC, caseless) by the program; a character may fold to 36 bytes.
-- users_username: log-in by name, search by a name's beginning, and that a name is taken once.
-- users_email: that an address is taken once.
CREATE TABLE IF NOT EXISTS users (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    username      VARCHAR(32) NOT NULL,
    username_key  VARBINARY(1200) NOT NULL,
    email         VARCHAR(254) NOT NULL,
    email_key     VARBINARY(1200) NOT NULL,
    full_name     VARCHAR(80),
    password_hash VARCHAR(255),
    kind          VARCHAR(16) NOT NULL,
    role          VARCHAR(16) NOT NULL,
    is_active     TINYINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    last_seen_at  BIGINT,
    UNIQUE KEY users_username (username_key),
    UNIQUE KEY users_email (email_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Log-ins. Of the refresh token only the SHA-256 is kept.
-- auth_sessions_refresh: a refresh finds its log-in by the token's hash.
-- auth_sessions_user: a user's log-ins, to be listed and ended.
CREATE TABLE IF NOT EXISTS auth_sessions (
    id           BIGINT NOT NULL PRIMARY KEY,
    user_id      BIGINT NOT NULL,
    refresh_hash VARBINARY(32) NOT NULL,
    user_agent   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    UNIQUE KEY auth_sessions_refresh (refresh_hash),
    KEY auth_sessions_user (user_id),
    CONSTRAINT auth_sessions_of_user FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- last_seq and rev are the room's heads; settings_rev is the rev that last changed this row's settings.
-- What lies below first_seq and first_rev was purged. name_key: the name folded, for searches.
-- rooms_direct: one direct room per pair. rooms_kind: the list of public rooms by rising id.
CREATE TABLE IF NOT EXISTS rooms (
    id           BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind         VARCHAR(16) NOT NULL,
    name         VARCHAR(80) NOT NULL,
    name_key     VARBINARY(3000) NOT NULL,
    topic        VARCHAR(250) NOT NULL,
    direct_key   VARBINARY(64),
    created_by   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    archived_at  BIGINT,
    deleted_at   BIGINT,
    last_seq     BIGINT NOT NULL,
    rev          BIGINT NOT NULL,
    settings_rev BIGINT NOT NULL,
    member_count BIGINT NOT NULL,
    first_seq    BIGINT NOT NULL DEFAULT 1,
    first_rev    BIGINT NOT NULL DEFAULT 1,
    UNIQUE KEY rooms_direct (direct_key),
    KEY rooms_kind (kind, id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Who has left keeps the row, with left_at: his leaving is a change that others must be able to read.
-- room_members_rev: what changed in a room after N; unique, as one row changed is one rev.
-- room_members_user: the rooms of a user.
CREATE TABLE IF NOT EXISTS room_members (
    room_id       BIGINT NOT NULL,
    user_id       BIGINT NOT NULL,
    role          VARCHAR(16) NOT NULL,
    joined_at     BIGINT NOT NULL,
    joined_seq    BIGINT NOT NULL,
    joined_rev    BIGINT NOT NULL,
    left_at       BIGINT,
    last_read_seq BIGINT NOT NULL,
    notify        VARCHAR(16) NOT NULL DEFAULT 'all',
    rev           BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id),
    UNIQUE KEY room_members_rev (room_id, rev),
    KEY room_members_user (user_id, room_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The log. Clustered by (room, seq): a page of history is one range.
-- messages_id: sending is idempotent for ever, as an author's id is stored once per room.
-- messages_rev: what changed in a room after N; unique, as one row changed is one rev.
CREATE TABLE IF NOT EXISTS messages (
    room_id    BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    rev        BIGINT NOT NULL,
    id         BINARY(16) NOT NULL,
    sender_id  BIGINT NOT NULL,
    kind       VARCHAR(16) NOT NULL,
    content    TEXT,
    extra      TEXT,
    reply_to   BIGINT,
    created_at BIGINT NOT NULL,
    edited_at  BIGINT,
    deleted_at BIGINT,
    pinned_at  BIGINT,
    PRIMARY KEY (room_id, seq),
    UNIQUE KEY messages_id (room_id, sender_id, id),
    UNIQUE KEY messages_rev (room_id, rev)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
