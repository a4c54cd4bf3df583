-- Codes of an authenticator app (TOTP, RFC 6238). A row without confirmed_at is a setup that waits for its first code.
CREATE TABLE totp_factors (
    user_id       TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    secret        BYTEA NOT NULL,            -- encrypted
    key_id        TEXT NOT NULL,             -- names the key that encrypted it
    session_id    TEXT,                      -- of the setup: only this session can finish it
    setup_ends_at BIGINT,                    -- null after the setup
    confirmed_at  BIGINT,
    last_step     BIGINT NOT NULL            -- of the last accepted code; a code works once
);
CREATE INDEX totp_factors_by_setup_end ON totp_factors (setup_ends_at) WHERE setup_ends_at IS NOT NULL;
CREATE INDEX totp_factors_by_key ON totp_factors (key_id);

-- One-time codes for a lost device. A used one is deleted.
CREATE TABLE recovery_codes (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash       BYTEA NOT NULL,               -- SHA-256 of 120 random bits
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, hash)
);

-- Logins between the password and the code. No sessions: the guard does not read them.
CREATE TABLE pending_logins (
    hash          BYTEA PRIMARY KEY NOT NULL, -- SHA-256 of the cookie's value
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    password_hash TEXT NOT NULL,             -- that the password was verified against; another one ends the login
    is_persistent TEXT NOT NULL CHECK (is_persistent IN ('yes', 'no')), -- "Keep me logged in"
    next          TEXT,
    wrong_codes   BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX pending_logins_by_user ON pending_logins (user_id);
CREATE INDEX pending_logins_by_end ON pending_logins (expires_at);
