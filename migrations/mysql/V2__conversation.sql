-- What people do with messages: react, mention, pin. A deleted message has none of these.

-- Who reacted with what. How many there are of all kinds stands in the message's row (extra), so that a
-- page asks only for messages that have any.
CREATE TABLE IF NOT EXISTS reactions (
    room_id    BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    emoji      VARBINARY(64) NOT NULL,
    user_id    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (room_id, seq, emoji, user_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Whom a message mentions: unread mentions are counted from here. The message's row holds them too
-- (extra), to be shown. user_id 0: everyone; then nobody else is noted.
-- mentions_message: a message that is edited or deleted takes its mentions along.
CREATE TABLE IF NOT EXISTS mentions (
    room_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id, seq),
    KEY mentions_message (room_id, seq)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The pinned messages of each room: an index over messages.pinned_at.
CREATE TABLE IF NOT EXISTS pins (
    room_id BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (room_id, seq)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
