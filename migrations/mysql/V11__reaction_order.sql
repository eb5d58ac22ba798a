-- Reactions are shown in the order in which they were given, whatever the clock said: by the rev of the change.
-- MySQL can't rename a column if it is there, and a migration that was cut off is run again.
SET @make = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                AND table_name = 'reactions' AND column_name = 'created_at') = 1,
               'ALTER TABLE reactions RENAME COLUMN created_at TO rev', 'DO 0');
PREPARE make FROM @make;
EXECUTE make;
DEALLOCATE PREPARE make;
-- Those that are there come before all later ones, in the order of their times in ms: they become negative.
UPDATE reactions SET rev = rev - 9007199254740992 WHERE rev >= 0;
