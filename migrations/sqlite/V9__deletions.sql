-- What is deleted is not unread, and not a room's last message.

-- The deleted messages of each room: an index over messages.deleted_at.
CREATE TABLE IF NOT EXISTS deletions (
    room_id INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (room_id, seq)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO deletions (room_id, seq)
    SELECT room_id, seq FROM messages WHERE deleted_at IS NOT NULL;

-- The newest message that isn't deleted, of the room's last 100; 0: none.
ALTER TABLE rooms ADD COLUMN shown_seq INTEGER NOT NULL DEFAULT 0;
-- The newest one that is; 0: none. Who has read it needs no count of deletions.
ALTER TABLE rooms ADD COLUMN deleted_seq INTEGER NOT NULL DEFAULT 0;
UPDATE rooms SET shown_seq = last_seq,
    deleted_seq = COALESCE((SELECT MAX(d.seq) FROM deletions d WHERE d.room_id = rooms.id), 0);
UPDATE rooms SET shown_seq = COALESCE((SELECT MAX(m.seq) FROM messages m
        WHERE m.room_id = rooms.id AND m.seq > rooms.last_seq - 100 AND m.deleted_at IS NULL), 0)
    WHERE last_seq > 0 AND deleted_seq = last_seq;
