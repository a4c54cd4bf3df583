-- When the password was last given in this session: actions that could take an account over ask for it again.
ALTER TABLE sessions ADD COLUMN confirmed_at BIGINT NOT NULL DEFAULT 0;

-- Mail on its way out. The message is what to say, not yet how it reads: a link's token is made when the mail leaves,
-- so that it stands nowhere but in the mail itself.
CREATE TABLE mail_queue (
    id         TEXT PRIMARY KEY NOT NULL,
    user_id    TEXT REFERENCES users (id) ON DELETE CASCADE, -- null when nobody may be concerned
    recipient  TEXT NOT NULL,
    purpose    TEXT CHECK (purpose IN ('verify', 'reset', 'change-email')), -- of its link; null without one
    message    TEXT NOT NULL,            -- JSON
    created_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,          -- also while a node is at it: then the end of its turn
    attempts   BIGINT NOT NULL
);
CREATE INDEX mail_queue_by_due ON mail_queue (due_at);
CREATE INDEX mail_queue_by_recipient ON mail_queue (recipient);
CREATE INDEX mail_queue_by_user ON mail_queue (user_id);

CREATE TABLE mailed_tokens (
    hash       BYTEA PRIMARY KEY NOT NULL, -- SHA-256 of the token
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose    TEXT NOT NULL CHECK (purpose IN ('verify', 'reset', 'change-email')),
    email      TEXT NOT NULL,            -- where it was sent
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX mailed_tokens_by_user ON mailed_tokens (user_id);
CREATE INDEX mailed_tokens_by_end ON mailed_tokens (expires_at);

-- What happened to an account, for its owner to see. A failed sign-in for an address that nobody has is written just the
-- same, without a user, and goes with the next upkeep: otherwise the time taken would tell.
CREATE TABLE activity (
    id             TEXT PRIMARY KEY NOT NULL,
    user_id        TEXT REFERENCES users (id) ON DELETE CASCADE,
    event          TEXT NOT NULL,
    client_address TEXT NOT NULL,
    user_agent     TEXT NOT NULL,
    at             BIGINT NOT NULL
);
CREATE INDEX activity_by_user ON activity (user_id, at);
CREATE INDEX activity_by_time ON activity (at);

-- How often something was tried. Keys are hashes: no address stands here.
CREATE TABLE throttles (
    key           TEXT PRIMARY KEY NOT NULL,
    attempts      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    forgotten_at  BIGINT NOT NULL        -- when it starts from nothing again
);
CREATE INDEX throttles_by_end ON throttles (forgotten_at);

-- Browsers in which someone signed in before: a stranger's failures elsewhere do not lock these out.
CREATE TABLE known_browsers (
    hash         BYTEA NOT NULL,         -- SHA-256 of what the cookie holds
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (hash, user_id)
);
CREATE INDEX known_browsers_by_user ON known_browsers (user_id);
CREATE INDEX known_browsers_by_time ON known_browsers (last_used_at);
