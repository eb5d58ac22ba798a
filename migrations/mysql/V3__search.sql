-- The search index of the messages' texts, filled behind the log's commits (src/store/search). Tokens are
-- encoded by the program, [a-z0-9] only, separated by spaces: no rule of the database's about short words or
-- stop words applies to any.

-- One row for each message with words that isn't deleted; sender and time are the message's, so that a search
-- filters and sorts without reading the log. The full-text index numbers its documents by itself: numbers of
-- ours would have to come in rising order of commits.
CREATE TABLE IF NOT EXISTS message_words (
    room_id    BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    sender_id  BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    tokens     MEDIUMTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (room_id, seq),
    FULLTEXT KEY message_words_tokens (tokens)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Up to which rev of its log a room is indexed.
CREATE TABLE IF NOT EXISTS search_cursors (
    room_id BIGINT NOT NULL PRIMARY KEY,
    rev     BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
