-- Counts the passwords of an account. A session belongs to the one with which it began, so a login that is stored while the password
-- changes ends with the old password, although the change has not seen it.
ALTER TABLE users ADD COLUMN password_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN password_version BIGINT NOT NULL DEFAULT 0;
