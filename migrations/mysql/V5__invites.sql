-- How people come in, and back in: invites, and links that set a new password. Of each code only the SHA-256
-- is kept.

-- An invite lives until it was used max_uses times or expires; who revokes it deletes the row. room_id: the
-- room that its users join.
-- invites_code: a code finds its invite. invites_creator: a user's invites, by rising id.
CREATE TABLE IF NOT EXISTS invites (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    code_hash  BINARY(32) NOT NULL,
    room_id    BIGINT,
    created_by BIGINT NOT NULL,
    max_uses   BIGINT NOT NULL,
    uses       BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE KEY invites_code (code_hash),
    KEY invites_creator (created_by, id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- At most one for each user: the newest. Using it deletes the row.
-- password_resets_code: a code finds its user.
CREATE TABLE IF NOT EXISTS password_resets (
    user_id    BIGINT NOT NULL PRIMARY KEY,
    code_hash  BINARY(32) NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE KEY password_resets_code (code_hash)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
