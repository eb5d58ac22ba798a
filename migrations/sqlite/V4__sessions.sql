-- What log-ins leave behind: tokens that were exchanged, and what ended.

-- Refresh tokens that were exchanged for their successor: one that is shown again ends its log-in.
CREATE TABLE IF NOT EXISTS used_refresh_tokens (
    hash       BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    session_id INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- What has grown too old to be shown again is deleted.
CREATE INDEX IF NOT EXISTS used_refresh_tokens_used ON used_refresh_tokens (used_at);

-- Whose log-ins ended, or whose account was disabled: every node reads the newest rows and looks at the
-- log-ins of its connections. session_id NULL: several at once.
CREATE TABLE IF NOT EXISTS revocations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL,
    session_id INTEGER,
    revoked_at INTEGER NOT NULL
) STRICT;
-- What every node has read is deleted.
CREATE INDEX IF NOT EXISTS revocations_at ON revocations (revoked_at);
