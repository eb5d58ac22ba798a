-- A user is found by the beginning of the username, and of the full name from each of its words on.

-- A row for each of these, in the form of searches. The program makes those of accounts that are there
-- (store/migrate/derived.rs).
CREATE TABLE IF NOT EXISTS user_names (
    name    TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    PRIMARY KEY (name, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS user_names_user ON user_names (user_id);

DROP INDEX IF EXISTS users_search;
ALTER TABLE users DROP COLUMN search_key;
