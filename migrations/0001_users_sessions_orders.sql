-- Columns are TEXT, BIGINT and BYTEA only, so that SQLite and PostgreSQL read this text alike.
-- Ids are UUIDv7 in lower-case text, times are whole seconds since 1970, money is in the currency's minor unit.

CREATE TABLE users (
    id            TEXT PRIMARY KEY NOT NULL,
    email         TEXT NOT NULL UNIQUE,      -- trimmed, NFC, lower case
    password_hash TEXT NOT NULL,             -- Argon2id as a PHC string
    created_at    BIGINT NOT NULL,
    verified_at   BIGINT,                    -- when the address was shown to be theirs
    disabled_at   BIGINT
);

CREATE TABLE sessions (
    id             TEXT PRIMARY KEY NOT NULL,
    user_id        TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    audience       TEXT NOT NULL CHECK (audience IN ('web', 'api')),
    idle_end       TEXT NOT NULL CHECK (idle_end IN ('yes', 'no')), -- no: "keep me signed in"
    client_address TEXT NOT NULL,
    user_agent     TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    last_seen_at   BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,          -- the session's own end, however busy it is
    revoked_at     BIGINT
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE orders (
    id                 TEXT PRIMARY KEY NOT NULL,
    issued_by          TEXT NOT NULL,        -- 'shop', or the user whose sample this is
    number             TEXT NOT NULL,        -- without the '#'
    user_id            TEXT REFERENCES users (id) ON DELETE SET NULL,
    email              TEXT,                 -- as users.email; null when the shop took none
    placed_at          BIGINT NOT NULL,
    paid_at            BIGINT,
    fulfilled_at       BIGINT,
    cancelled_at       BIGINT,
    payment_status     TEXT NOT NULL,        -- in Shopify's words
    fulfillment_status TEXT NOT NULL,
    currency           TEXT NOT NULL,        -- ISO 4217
    subtotal           BIGINT NOT NULL,
    shipping           BIGINT NOT NULL,
    taxes              BIGINT NOT NULL,
    discount           BIGINT NOT NULL,
    refunded           BIGINT NOT NULL,
    total              BIGINT NOT NULL,
    line_count         BIGINT NOT NULL,
    ship_name          TEXT NOT NULL,
    ship_company       TEXT NOT NULL,
    ship_address1      TEXT NOT NULL,
    ship_address2      TEXT NOT NULL,
    ship_zip           TEXT NOT NULL,
    ship_city          TEXT NOT NULL,
    ship_province      TEXT NOT NULL,
    ship_country       TEXT NOT NULL,
    ship_phone         TEXT NOT NULL,
    fingerprint        BYTEA NOT NULL,       -- SHA-256 over what the shop's export said
    UNIQUE (issued_by, number)
);
CREATE INDEX orders_newest_first ON orders (user_id, placed_at DESC, id DESC);
CREATE INDEX orders_by_number ON orders (user_id, number);
CREATE INDEX orders_unclaimed ON orders (email) WHERE user_id IS NULL;

CREATE TABLE order_lines (
    order_id   TEXT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    position   BIGINT NOT NULL,              -- from 1
    sku        TEXT NOT NULL,
    name       TEXT NOT NULL,
    quantity   BIGINT NOT NULL,
    unit_price BIGINT NOT NULL,
    discount   BIGINT NOT NULL,              -- off the whole line
    PRIMARY KEY (order_id, position)
);
