-- Passkeys: WebAuthn credentials that log in and reauthenticate.
CREATE TABLE passkeys (
    id            TEXT PRIMARY KEY NOT NULL,
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id BYTEA NOT NULL,
    credential    TEXT NOT NULL,             -- JSON: public key, signature counter, backup state
    name          TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT                     -- null until the first login or reauthentication
);
CREATE UNIQUE INDEX passkeys_by_credential ON passkeys (credential_id);
CREATE INDEX passkeys_by_user ON passkeys (user_id, created_at);

-- The user handle of the account's passkeys: a random UUID, set with the first passkey and kept when all are removed.
ALTER TABLE users ADD COLUMN passkey_handle TEXT;
-- When the customer was last offered to add a passkey.
ALTER TABLE users ADD COLUMN passkey_offered_at BIGINT;

-- Challenges that were answered, until they expire, so that each is answered once.
CREATE TABLE used_passkey_challenges (
    challenge_id BYTEA PRIMARY KEY NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX used_passkey_challenges_by_expiry ON used_passkey_challenges (expires_at);
