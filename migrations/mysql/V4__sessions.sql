-- What log-ins leave behind: tokens that were exchanged, and what ended.

-- Refresh tokens that were exchanged for their successor: one that is shown again ends its log-in.
-- used_refresh_tokens_used: what has grown too old to be shown again is deleted.
CREATE TABLE IF NOT EXISTS used_refresh_tokens (
    hash       VARBINARY(32) NOT NULL PRIMARY KEY,
    session_id BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    KEY used_refresh_tokens_used (used_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Whose log-ins ended, or whose account was disabled: every node reads the newest rows and looks at the
-- log-ins of its connections. session_id NULL: several at once.
-- revocations_at: what every node has read is deleted.
CREATE TABLE IF NOT EXISTS revocations (
    id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    session_id BIGINT,
    revoked_at BIGINT NOT NULL,
    KEY revocations_at (revoked_at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
