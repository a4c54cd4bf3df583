-- What an order is in one word, for filters. Written with every order from now on.
ALTER TABLE orders ADD COLUMN status TEXT NOT NULL DEFAULT 'placed';
UPDATE orders SET status = CASE
    WHEN cancelled_at IS NOT NULL THEN 'cancelled'
    WHEN payment_status = 'refunded' THEN 'refunded'
    WHEN fulfillment_status = 'delivered' THEN 'delivered'
    WHEN fulfillment_status = 'fulfilled' THEN 'sent'
    WHEN fulfillment_status IN ('partial', 'partially_fulfilled') THEN 'partly_sent'
    WHEN payment_status IN ('paid', 'partially_refunded') THEN 'processing'
    ELSE 'placed' END;

-- What a search looks through: number, skus and names, folded. An index holds it, and an index of PostgreSQL takes no more
-- than 2,704 bytes a row: the head is at most 450 characters, and the whole stands beside it only when it is longer. Orders
-- from before this have an empty head, and upkeep fills it.
ALTER TABLE orders ADD COLUMN search_head TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN search_text TEXT;
CREATE INDEX orders_unsearchable ON orders (id) WHERE search_head = '';

-- Lists, sums and searches of one customer read these and nothing else, until an order is shown.
DROP INDEX orders_newest_first;
CREATE INDEX orders_by_date ON orders (user_id, placed_at, id, status, currency, total, refunded, search_head) WHERE user_id IS NOT NULL;
CREATE INDEX orders_by_total ON orders (user_id, total, id, status, placed_at, search_head) WHERE user_id IS NOT NULL;

-- The customer asked for the order to be called off; whether it is, the shop's next export tells.
ALTER TABLE orders ADD COLUMN cancellation_asked_at BIGINT;
CREATE INDEX orders_cancellations ON orders (cancellation_asked_at) WHERE cancellation_asked_at IS NOT NULL;

-- The number of the order that the customer ordered again here; null for the shop's own. As long as the shop has not exported the
-- new order itself, its fingerprint is empty.
ALTER TABLE orders ADD COLUMN copy_of TEXT;
CREATE INDEX orders_placed_here ON orders (placed_at) WHERE copy_of IS NOT NULL;

CREATE TABLE counters (
    name  TEXT PRIMARY KEY NOT NULL,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('orders placed here', 1000);

-- What a form was answered with, so that sending it twice does it once.
CREATE TABLE idempotency_keys (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    request    TEXT NOT NULL,            -- what was asked: a key that comes with something else is refused
    answer     TEXT NOT NULL,            -- the number of the order that came of it
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- As the IANA database names it; null while nobody chose one and no browser told one.
ALTER TABLE users ADD COLUMN time_zone TEXT;
ALTER TABLE users ADD COLUMN time_zone_chosen_at BIGINT; -- null when the browser told it
