-- The usual names for tables and columns of accounts, sessions and mail. Both engines rename them in indexes, foreign keys and checks as
-- well, without rewriting a row. Indexes keep their names: neither engine renames one in a way that the other knows.
ALTER TABLE mailed_tokens RENAME TO email_tokens;
ALTER TABLE throttles RENAME TO rate_limits;
ALTER TABLE rate_limits RENAME COLUMN forgotten_at TO resets_at;
ALTER TABLE known_browsers RENAME TO trusted_browsers;
ALTER TABLE known_networks RENAME TO trusted_networks;
ALTER TABLE activity RENAME TO audit_events;

-- The opposite meaning: 'yes' for sessions that an idle time does not end.
ALTER TABLE sessions RENAME COLUMN idle_end TO is_persistent;
UPDATE sessions SET is_persistent = CASE is_persistent WHEN 'yes' THEN 'no' ELSE 'yes' END;
