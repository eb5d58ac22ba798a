-- What the change of an account has still to do in rooms, and indexes for what is forgotten when it is over.

-- room_id: the room that the user is to join, added by this one. NULL: he leaves all of his rooms, for his account
-- was deleted. A row is deleted once it is done.
CREATE TABLE IF NOT EXISTS chores (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL,
    room_id    INTEGER,
    added_by   INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

-- What is over is deleted.
CREATE INDEX IF NOT EXISTS auth_sessions_expiry ON auth_sessions (expires_at);
CREATE INDEX IF NOT EXISTS invites_expiry ON invites (expires_at);
-- Who administers the site, by rising id: asked at every start, and locked before one of them goes.
CREATE INDEX IF NOT EXISTS users_admins ON users (role, is_active);
