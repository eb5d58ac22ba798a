-- Users are searched for as rooms and messages are: without diacritics, with one apostrophe. The keys of those that are
-- there, those of rooms (rooms.name_key), and the one form of reactions are made by the program (store/migrate/derived.rs).
ALTER TABLE users ADD COLUMN search_key TEXT NOT NULL DEFAULT '';
-- Search by a name's beginning.
CREATE INDEX IF NOT EXISTS users_search ON users (search_key);

-- Words are cut otherwise: all messages are indexed anew.
UPDATE search_cursors SET rev = 0;
