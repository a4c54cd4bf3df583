-- When a login showed that the password is in the list of breached passwords, and when the mail about it was queued. A new password
-- clears both.
ALTER TABLE users ADD COLUMN password_breached_at BIGINT;
ALTER TABLE users ADD COLUMN password_breach_mailed_at BIGINT;
