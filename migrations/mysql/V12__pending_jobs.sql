-- The table of pending jobs gets its name: room changes that follow from an account change and aren't finished.
-- A migration that was cut off is run again: then the table has its name already.
SET @rename = IF((SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()
                  AND table_name = 'pending_jobs') = 0,
                 'RENAME TABLE chores TO pending_jobs', 'DO 0');
PREPARE rename_jobs FROM @rename;
EXECUTE rename_jobs;
DEALLOCATE PREPARE rename_jobs;

-- A `chores` that is there beside it was made by a repeated version 6. Jobs that an older program has written there since then
-- get new numbers. DROP TABLE ends the transaction: a job is in one of the tables, wherever this is cut off.
CREATE TABLE IF NOT EXISTS chores LIKE pending_jobs;
START TRANSACTION;
INSERT INTO pending_jobs (user_id, room_id, added_by, created_at)
    SELECT user_id, room_id, added_by, created_at FROM chores ORDER BY id;
DELETE FROM chores;
DROP TABLE chores;
