-- What the change of an account has still to do in rooms, and indexes for what is forgotten when it is over.

-- room_id: the room that the user is to join, added by this one. NULL: he leaves all of his rooms, for his account
-- was deleted. A row is deleted once it is done.
CREATE TABLE IF NOT EXISTS chores (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    room_id    BIGINT,
    added_by   BIGINT,
    created_at BIGINT NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- auth_sessions_expiry, invites_expiry: what is over is deleted. users_admins: who administers the site, by rising id:
-- asked at every start, and locked before one of them goes.
-- MySQL knows no ADD KEY IF NOT EXISTS, and a migration that was cut off is run again.
SET @make = IF((SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE()
                AND table_name = 'auth_sessions' AND index_name = 'auth_sessions_expiry') = 0,
               'ALTER TABLE auth_sessions ADD KEY auth_sessions_expiry (expires_at)', 'DO 0');
PREPARE make FROM @make;
EXECUTE make;
SET @make = IF((SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE()
                AND table_name = 'invites' AND index_name = 'invites_expiry') = 0,
               'ALTER TABLE invites ADD KEY invites_expiry (expires_at)', 'DO 0');
PREPARE make FROM @make;
EXECUTE make;
SET @make = IF((SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE()
                AND table_name = 'users' AND index_name = 'users_admins') = 0,
               'ALTER TABLE users ADD KEY users_admins (role, is_active)', 'DO 0');
PREPARE make FROM @make;
EXECUTE make;
DEALLOCATE PREPARE make;
