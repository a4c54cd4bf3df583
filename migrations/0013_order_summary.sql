-- What an order is in a few words, for lists: "Clay mug, Saucer and 2 more". src/orders/summary.rs writes the same text for new orders.
ALTER TABLE orders ADD COLUMN summary TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN piece_count BIGINT NOT NULL DEFAULT 0; -- the quantities of the lines, without those taken back

-- PostgreSQL writes a changed row into each of its indexes: building them anew takes a small part of that time.
DROP INDEX orders_identity;
DROP INDEX orders_by_number;
DROP INDEX orders_samples;
DROP INDEX orders_unclaimed;
DROP INDEX orders_by_date;
DROP INDEX orders_by_total;
DROP INDEX orders_cancellations;
DROP INDEX orders_reorders;
DROP INDEX orders_without_search_text;

UPDATE orders SET
    piece_count = contents.piece_count,
    summary = CASE contents.names
        WHEN 0 THEN ''
        WHEN 1 THEN CASE WHEN LENGTH(first_name) <= 120 THEN first_name ELSE RTRIM(SUBSTR(first_name, 1, 119)) || '…' END
        ELSE CASE WHEN LENGTH(first_name) <= 50 THEN first_name ELSE RTRIM(SUBSTR(first_name, 1, 49)) || '…' END
            || ', '
            || CASE WHEN LENGTH(second_name) <= 50 THEN second_name ELSE RTRIM(SUBSTR(second_name, 1, 49)) || '…' END
            || CASE WHEN contents.names > 2 THEN ' and ' || CAST(contents.names - 2 AS TEXT) || ' more' ELSE '' END
        END
FROM (
    SELECT order_id, CAST(SUM(pieces) AS BIGINT) AS piece_count, SUM(CASE WHEN name <> '' THEN 1 ELSE 0 END) AS names,
        MAX(CASE WHEN place = 1 THEN name END) AS first_name, MAX(CASE WHEN place = 2 THEN name END) AS second_name
    FROM (
        SELECT order_id, name, SUM(CASE WHEN quantity > 0 THEN quantity ELSE 0 END) AS pieces,
            ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY CASE WHEN name = '' THEN 1 ELSE 0 END, MIN(position)) AS place
        FROM order_lines GROUP BY order_id, name
    ) items
    GROUP BY order_id
) contents
WHERE contents.order_id = orders.id;

CREATE UNIQUE INDEX orders_identity ON orders (shop_number, shop, external_id) WHERE source = 'shop';
CREATE UNIQUE INDEX orders_by_number ON orders (user_id, number) WHERE user_id IS NOT NULL;
CREATE INDEX orders_samples ON orders (sample_owner_id) WHERE sample_owner_id IS NOT NULL;
CREATE INDEX orders_unclaimed ON orders (email) WHERE user_id IS NULL;
CREATE INDEX orders_by_date ON orders (user_id, placed_at, id, status, currency, total, refunded, search_prefix) WHERE user_id IS NOT NULL;
CREATE INDEX orders_by_total ON orders (user_id, total, id, status, placed_at, search_prefix) WHERE user_id IS NOT NULL;
CREATE INDEX orders_cancellations ON orders (cancellation_asked_at) WHERE cancellation_asked_at IS NOT NULL;
CREATE INDEX orders_reorders ON orders (placed_at) WHERE reordered_from IS NOT NULL;
CREATE INDEX orders_without_search_text ON orders (id) WHERE search_prefix = '';

-- The few orders whose text is longer than the prefix in the indexes of lists: a search reads these rows.
CREATE INDEX orders_with_long_text ON orders (user_id, id) WHERE search_text IS NOT NULL;
