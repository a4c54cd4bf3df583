-- One row for each customer with orders. Each transaction that changes a customer's orders counts the version up, so that a stored page of
-- an older version is not used.
CREATE TABLE order_versions (
    user_id     TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    version     BIGINT NOT NULL,
    totals_zone TEXT NOT NULL            -- the time zone of the months in order_totals; empty: the totals must be computed
);
CREATE INDEX order_versions_without_totals ON order_versions (user_id) WHERE totals_zone = '';

-- What the orders of a customer add up to, by month. The same transaction that changes an order changes its totals.
CREATE TABLE order_totals (
    user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    month       BIGINT NOT NULL,         -- in the customer's time zone: 12 times the year, plus the month from 0
    currency    TEXT NOT NULL,
    status      TEXT NOT NULL,
    order_count BIGINT NOT NULL,
    total       BIGINT NOT NULL,
    spent       BIGINT NOT NULL,         -- without cancelled orders and refunds
    PRIMARY KEY (user_id, month, currency, status)
);

-- Maintenance computes the totals of these.
INSERT INTO order_versions (user_id, version, totals_zone) SELECT DISTINCT user_id, 1, '' FROM orders WHERE user_id IS NOT NULL;
