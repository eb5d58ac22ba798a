-- The table of pending jobs gets its name: room changes that follow from an account change and aren't finished.
ALTER TABLE chores RENAME TO pending_jobs;
