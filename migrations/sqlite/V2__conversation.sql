-- What people do with messages: react, mention, pin. A deleted message has none of these.

-- Who reacted with what. How many there are of all kinds stands in the message's row (extra), so that a
-- page asks only for messages that have any.
CREATE TABLE IF NOT EXISTS reactions (
    room_id    INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    emoji      TEXT NOT NULL,
    user_id    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (room_id, seq, emoji, user_id)
) STRICT, WITHOUT ROWID;

-- Whom a message mentions: unread mentions are counted from here. The message's row holds them too
-- (extra), to be shown. user_id 0: everyone; then nobody else is noted.
CREATE TABLE IF NOT EXISTS mentions (
    room_id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id, seq)
) STRICT, WITHOUT ROWID;
-- A message that is edited or deleted takes its mentions along.
CREATE INDEX IF NOT EXISTS mentions_message ON mentions (room_id, seq);

-- The pinned messages of each room: an index over messages.pinned_at.
CREATE TABLE IF NOT EXISTS pins (
    room_id INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;

-- Ids come first: those that grow with time (UUIDv7) are added at one end of the index, so that a commit of
-- messages to many rooms changes a few pages and not one for each room (1.2 times as many messages a second).
DROP INDEX IF EXISTS messages_id;
CREATE UNIQUE INDEX messages_id ON messages (id, sender_id, room_id);
