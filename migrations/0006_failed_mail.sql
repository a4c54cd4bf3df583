-- Mail that the server refused, or that did not leave within two days, is kept with its reason: the operator sends it again or
-- drops it. Versions from before this leave it alone, because its due_at lies beyond any clock.
ALTER TABLE mail_queue ADD COLUMN failed_at BIGINT;   -- null while it is to be delivered
ALTER TABLE mail_queue ADD COLUMN failure TEXT;       -- why the last attempt failed; names no address
ALTER TABLE mail_queue ADD COLUMN retried_at BIGINT;  -- when the operator last sent it again: two more days from then

DROP INDEX mail_queue_by_due;
CREATE INDEX mail_queue_due ON mail_queue (due_at, id) WHERE failed_at IS NULL;
CREATE INDEX mail_queue_failed ON mail_queue (failed_at) WHERE failed_at IS NOT NULL;
