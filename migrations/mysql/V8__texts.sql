-- Users are searched for as rooms and messages are: without diacritics, with one apostrophe. The keys of those that are
-- there, those of rooms (rooms.name_key), and the one form of reactions are made by the program (store/migrate/derived.rs).
-- users_search: search by a name's beginning.
-- MySQL knows no ADD COLUMN IF NOT EXISTS, and a migration that was cut off is run again.
SET @make = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                AND table_name = 'users' AND column_name = 'search_key') = 0,
               'ALTER TABLE users ADD COLUMN search_key VARBINARY(1200) NOT NULL DEFAULT '''', ADD KEY users_search (search_key)', 'DO 0');
PREPARE make FROM @make;
EXECUTE make;
DEALLOCATE PREPARE make;

-- Words are cut otherwise: all messages are indexed anew.
UPDATE search_cursors SET rev = 0;
