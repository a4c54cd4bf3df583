-- Networks from which someone logged in before: attempts from elsewhere do not lock the owner out there. The address of a network
-- cannot be looked up in a table made beforehand: each account hashes it differently.
CREATE TABLE known_networks (
    hash         BYTEA NOT NULL,         -- SHA-256 of the user's id and the network
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (hash, user_id)
);
CREATE INDEX known_networks_by_user ON known_networks (user_id);
CREATE INDEX known_networks_by_time ON known_networks (last_used_at);

-- Which account a limit is about, as a hash of its address: a new password by mail lifts all of them. Null for limits of a network.
ALTER TABLE throttles ADD COLUMN account TEXT;
CREATE INDEX throttles_by_account ON throttles (account) WHERE account IS NOT NULL;
