-- Who administers the site, by rising id: asked at every start, and locked before one of them goes.
CREATE INDEX IF NOT EXISTS users_admins ON users (role, is_active);
