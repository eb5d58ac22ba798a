-- Reactions are shown in the order in which they were given, whatever the clock said: by the rev of the change.
ALTER TABLE reactions RENAME COLUMN created_at TO rev;
-- Those that are there come before all later ones, in the order of their times in ms: they become negative.
UPDATE reactions SET rev = rev - 9007199254740992;
