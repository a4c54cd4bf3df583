-- Events that the owner of an address can undo for seven days, by the link in the mail about them: a new password, a change of
-- address. While one stands, nobody else can take its address. It has the id of that mail in the queue.
CREATE TABLE recoveries (
    id         TEXT PRIMARY KEY NOT NULL,  -- later events have greater ones
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email      TEXT NOT NULL,              -- the account's confirmed address until the event; its mail and link go there
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX recoveries_by_user ON recoveries (user_id, id);
CREATE INDEX recoveries_by_email ON recoveries (email);
CREATE INDEX recoveries_by_end ON recoveries (expires_at);

-- Their links: several where a mail was sent more than once.
CREATE TABLE recovery_tokens (
    hash        BYTEA PRIMARY KEY NOT NULL, -- SHA-256 of the token
    recovery_id TEXT NOT NULL REFERENCES recoveries (id) ON DELETE CASCADE
);
CREATE INDEX recovery_tokens_by_recovery ON recovery_tokens (recovery_id);

-- From this version on the password is taken with each sensitive change, so sessions.confirmed_at is neither read nor written. The
-- column stays for servers of the version before, which may still run on this database.
