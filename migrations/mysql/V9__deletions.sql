-- What is deleted is not unread, and not a room's last message.

-- The deleted messages of each room: an index over messages.deleted_at.
CREATE TABLE IF NOT EXISTS deletions (
    room_id BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (room_id, seq)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT IGNORE INTO deletions (room_id, seq)
    SELECT room_id, seq FROM messages WHERE deleted_at IS NOT NULL;

-- shown_seq: the newest message that isn't deleted, of the room's last 100; 0: none.
-- deleted_seq: the newest one that is; 0: none. Who has read it needs no count of deletions.
-- MySQL knows no ADD COLUMN IF NOT EXISTS, and a migration that was cut off is run again.
SET @make = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                AND table_name = 'rooms' AND column_name = 'shown_seq') = 0,
               'ALTER TABLE rooms ADD COLUMN shown_seq BIGINT NOT NULL DEFAULT 0,
                    ADD COLUMN deleted_seq BIGINT NOT NULL DEFAULT 0', 'DO 0');
PREPARE make FROM @make;
EXECUTE make;
DEALLOCATE PREPARE make;
UPDATE rooms r SET r.shown_seq = r.last_seq,
    r.deleted_seq = COALESCE((SELECT MAX(d.seq) FROM deletions d WHERE d.room_id = r.id), 0);
UPDATE rooms r SET r.shown_seq = COALESCE((SELECT MAX(m.seq) FROM messages m
        WHERE m.room_id = r.id AND m.seq > r.last_seq - 100 AND m.deleted_at IS NULL), 0)
    WHERE r.last_seq > 0 AND r.deleted_seq = r.last_seq;
