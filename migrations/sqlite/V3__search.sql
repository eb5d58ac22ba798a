-- The search index of the messages' texts, filled behind the log's commits (src/store/search). Tokens are
-- encoded by the program, [a-z0-9] only, separated by spaces.

-- One row for each message with words that isn't deleted; sender and time are the message's, so that a search
-- filters and sorts without reading the log.
CREATE TABLE IF NOT EXISTS message_words (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    room_id    INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    sender_id  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    tokens     TEXT NOT NULL
) STRICT;
-- The words of a message.
CREATE UNIQUE INDEX IF NOT EXISTS message_words_message ON message_words (room_id, seq);

-- secure-delete: words that are deleted leave the index at once, not when its parts are merged.
CREATE VIRTUAL TABLE IF NOT EXISTS message_words_fts
    USING fts5 (tokens, content = 'message_words', content_rowid = 'id', tokenize = 'ascii', columnsize = 0);
INSERT INTO message_words_fts (message_words_fts, rank) VALUES ('secure-delete', 1);

-- Whoever changes a row of message_words changes the index with it.
CREATE TRIGGER IF NOT EXISTS message_words_insert AFTER INSERT ON message_words BEGIN
    INSERT INTO message_words_fts (rowid, tokens) VALUES (new.id, new.tokens);
END;
CREATE TRIGGER IF NOT EXISTS message_words_delete AFTER DELETE ON message_words BEGIN
    INSERT INTO message_words_fts (message_words_fts, rowid, tokens) VALUES ('delete', old.id, old.tokens);
END;
CREATE TRIGGER IF NOT EXISTS message_words_update AFTER UPDATE ON message_words BEGIN
    INSERT INTO message_words_fts (message_words_fts, rowid, tokens) VALUES ('delete', old.id, old.tokens);
    INSERT INTO message_words_fts (rowid, tokens) VALUES (new.id, new.tokens);
END;

-- Up to which rev of its log a room is indexed.
CREATE TABLE IF NOT EXISTS search_cursors (
    room_id INTEGER NOT NULL PRIMARY KEY,
    rev     INTEGER NOT NULL
) STRICT;
