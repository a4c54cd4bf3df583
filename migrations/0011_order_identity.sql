-- An order is identified by its shop, its number in the shop and the id that the shop's system gave it. SQLite cannot drop
-- UNIQUE (issued_by, number), so both tables are built again. Uniqueness is in indexes from now on: they can be dropped.

CREATE TABLE orders_new (
    id                    TEXT PRIMARY KEY NOT NULL,
    source                TEXT NOT NULL CHECK (source IN ('shop', 'sample')),
    sample_owner_id       TEXT,                     -- the user of a sample order
    shop                  TEXT NOT NULL DEFAULT '', -- import --shop
    external_id           TEXT NOT NULL DEFAULT '', -- Shopify's Id; empty when no export had it
    shop_number           TEXT NOT NULL,            -- the name without its leading '#'
    name                  TEXT NOT NULL,            -- as the shop writes it, for pages
    number                TEXT NOT NULL,            -- in addresses and the API: unique for each user
    user_id               TEXT REFERENCES users (id) ON DELETE SET NULL,
    email                 TEXT,                     -- as users.email
    placed_at             BIGINT NOT NULL,
    paid_at               BIGINT,
    fulfilled_at          BIGINT,
    cancelled_at          BIGINT,
    payment_status        TEXT NOT NULL,            -- Shopify's words
    fulfillment_status    TEXT NOT NULL,
    currency              TEXT NOT NULL,            -- ISO 4217
    subtotal              BIGINT NOT NULL,
    shipping              BIGINT NOT NULL,
    taxes                 BIGINT NOT NULL,
    discount              BIGINT NOT NULL,
    refunded              BIGINT NOT NULL,
    total                 BIGINT NOT NULL,
    line_count            BIGINT NOT NULL,
    ship_name             TEXT NOT NULL,
    ship_company          TEXT NOT NULL,
    ship_address1         TEXT NOT NULL,
    ship_address2         TEXT NOT NULL,
    ship_zip              TEXT NOT NULL,
    ship_city             TEXT NOT NULL,
    ship_province         TEXT NOT NULL,
    ship_country          TEXT NOT NULL,
    ship_phone            TEXT NOT NULL,
    details               TEXT NOT NULL DEFAULT '{}', -- JSON: what only the page of one order shows
    content_hash          BYTEA NOT NULL,           -- SHA-256 of the values of the last import; empty for a reorder
    status                TEXT NOT NULL DEFAULT 'placed',
    search_prefix         TEXT NOT NULL DEFAULT '',
    search_text           TEXT,
    cancellation_asked_at BIGINT,
    reordered_from        TEXT
);

INSERT INTO orders_new (id, source, sample_owner_id, shop_number, name, number, user_id, email, placed_at, paid_at, fulfilled_at,
    cancelled_at, payment_status, fulfillment_status, currency, subtotal, shipping, taxes, discount, refunded, total, line_count,
    ship_name, ship_company, ship_address1, ship_address2, ship_zip, ship_city, ship_province, ship_country, ship_phone,
    content_hash, status, search_prefix, search_text, cancellation_asked_at, reordered_from)
SELECT id, CASE WHEN issued_by = 'shop' THEN 'shop' ELSE 'sample' END, CASE WHEN issued_by <> 'shop' THEN issued_by END,
    number, '#' || number,
    -- A sample order may have the number of a real one.
    CASE WHEN issued_by <> 'shop' AND user_id IN (SELECT o.user_id FROM orders o WHERE o.issued_by = 'shop' AND o.number = orders.number)
        THEN number || '-2' ELSE number END,
    user_id, email, placed_at, paid_at, fulfilled_at, cancelled_at, payment_status, fulfillment_status, currency, subtotal,
    shipping, taxes, discount, refunded, total, line_count, ship_name, ship_company, ship_address1, ship_address2, ship_zip,
    ship_city, ship_province, ship_country, ship_phone, content_hash,
    -- Payments that will not come and goods that went back to the stock have words of their own.
    CASE WHEN cancelled_at IS NOT NULL OR fulfillment_status = 'restocked' THEN 'cancelled'
         WHEN payment_status = 'voided' THEN 'payment_voided'
         WHEN payment_status = 'expired' THEN 'expired'
         ELSE status END,
    search_prefix, search_text, cancellation_asked_at, reordered_from
FROM orders;

CREATE TABLE order_lines_new (
    order_id           TEXT NOT NULL REFERENCES orders_new (id) ON DELETE CASCADE,
    position           BIGINT NOT NULL,             -- from 1
    sku                TEXT NOT NULL,
    name               TEXT NOT NULL,
    quantity           BIGINT NOT NULL,
    unit_price         BIGINT NOT NULL,
    discount           BIGINT NOT NULL,             -- of the whole line
    fulfillment_status TEXT NOT NULL DEFAULT '',    -- Shopify's word; empty when no export had it
    PRIMARY KEY (order_id, position)
);
INSERT INTO order_lines_new (order_id, position, sku, name, quantity, unit_price, discount)
SELECT order_id, position, sku, name, quantity, unit_price, discount FROM order_lines;

DROP TABLE order_lines;
DROP TABLE orders;
ALTER TABLE orders_new RENAME TO orders;
ALTER TABLE order_lines_new RENAME TO order_lines;

CREATE UNIQUE INDEX orders_identity ON orders (shop_number, shop, external_id) WHERE source = 'shop';
CREATE UNIQUE INDEX orders_by_number ON orders (user_id, number) WHERE user_id IS NOT NULL;
CREATE INDEX orders_samples ON orders (sample_owner_id) WHERE sample_owner_id IS NOT NULL;
CREATE INDEX orders_unclaimed ON orders (email) WHERE user_id IS NULL;
CREATE INDEX orders_by_date ON orders (user_id, placed_at, id, status, currency, total, refunded, search_prefix) WHERE user_id IS NOT NULL;
CREATE INDEX orders_by_total ON orders (user_id, total, id, status, placed_at, search_prefix) WHERE user_id IS NOT NULL;
CREATE INDEX orders_cancellations ON orders (cancellation_asked_at) WHERE cancellation_asked_at IS NOT NULL;
CREATE INDEX orders_reorders ON orders (placed_at) WHERE reordered_from IS NOT NULL;
CREATE INDEX orders_without_search_text ON orders (id) WHERE search_prefix = '';

-- A shop whose exports report deliveries: only then pages say that a delivery is still to come.
INSERT INTO counters (name, value)
SELECT 'deliveries:', 1 FROM orders WHERE source = 'shop' AND fulfillment_status = 'delivered' LIMIT 1;

-- Past imports, for the operator and for "last updated" on the customer's list.
CREATE TABLE imports (
    id                TEXT PRIMARY KEY NOT NULL,
    started_at        BIGINT NOT NULL,
    finished_at       BIGINT NOT NULL,
    outcome           TEXT NOT NULL CHECK (outcome IN ('done', 'stopped')),
    shop              TEXT NOT NULL,
    files             TEXT NOT NULL,                -- JSON: name and SHA-256 of each
    orders            BIGINT NOT NULL,
    lines             BIGINT NOT NULL,
    new_orders        BIGINT NOT NULL,
    changed_orders    BIGINT NOT NULL,
    unchanged_orders  BIGINT NOT NULL,
    skipped_orders    BIGINT NOT NULL,
    ownerless_orders  BIGINT NOT NULL
);
CREATE INDEX imports_by_time ON imports (finished_at);
