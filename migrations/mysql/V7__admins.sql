-- users_admins: who administers the site, by rising id: asked at every start, and locked before one of them goes.
-- MySQL has no IF NOT EXISTS for an index, and a migration that was cut short runs again.
SET @users_admins = IF(
    EXISTS (SELECT 1 FROM information_schema.statistics
            WHERE table_schema = DATABASE() AND table_name = 'users' AND index_name = 'users_admins'),
    'DO 0',
    'CREATE INDEX users_admins ON users (role, is_active)');
PREPARE users_admins FROM @users_admins;
EXECUTE users_admins;
DEALLOCATE PREPARE users_admins;
