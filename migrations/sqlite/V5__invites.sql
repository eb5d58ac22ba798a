-- How people come in, and back in: invites, and links that set a new password. Of each code only the SHA-256
-- is kept.

-- An invite lives until it was used max_uses times or expires; who revokes it deletes the row. room_id: the
-- room that its users join.
CREATE TABLE IF NOT EXISTS invites (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    code_hash  BLOB NOT NULL UNIQUE CHECK (length(code_hash) = 32),
    room_id    INTEGER,
    created_by INTEGER NOT NULL,
    max_uses   INTEGER NOT NULL,
    uses       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
-- A user's invites, by rising id.
CREATE INDEX IF NOT EXISTS invites_creator ON invites (created_by, id);

-- At most one for each user: the newest. Using it deletes the row.
CREATE TABLE IF NOT EXISTS password_resets (
    user_id    INTEGER PRIMARY KEY,
    code_hash  BLOB NOT NULL UNIQUE CHECK (length(code_hash) = 32),
    expires_at INTEGER NOT NULL
) STRICT;

-- Statistics that an earlier version gathered while the tables were small mislead the planner for ever.
ANALYZE;
DELETE FROM sqlite_stat1;
