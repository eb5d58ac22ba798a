-- The table of pending jobs gets its name: room changes that follow from an account change and aren't finished.
-- A migration that was cut off is run again: then the table has its name already. An empty `chores` is one that a repeated
-- version 6 has made.
SET @rename = IF((SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()
                  AND table_name = 'pending_jobs') = 0,
                 'RENAME TABLE chores TO pending_jobs', 'DROP TABLE IF EXISTS chores');
PREPARE rename_jobs FROM @rename;
EXECUTE rename_jobs;
DEALLOCATE PREPARE rename_jobs;
