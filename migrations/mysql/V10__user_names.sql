-- A user is found by the beginning of the username, and of the full name from each of its words on.

-- A row for each of these, in the form of searches. The program makes those of accounts that are there
-- (store/migrate/derived.rs).
CREATE TABLE IF NOT EXISTS user_names (
    name    VARBINARY(1000) NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (name, user_id),
    KEY user_names_user (user_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- MySQL knows no DROP COLUMN IF EXISTS, and a migration that was cut off is run again.
SET @make = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                AND table_name = 'users' AND column_name = 'search_key') = 1,
               'ALTER TABLE users DROP KEY users_search, DROP COLUMN search_key', 'DO 0');
PREPARE make FROM @make;
EXECUTE make;
DEALLOCATE PREPARE make;
