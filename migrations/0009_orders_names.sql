-- The usual names for columns of orders. Each engine renames them in their indexes as well, without rewriting a row.
ALTER TABLE orders RENAME COLUMN copy_of TO reordered_from;
ALTER TABLE orders RENAME COLUMN search_head TO search_prefix;
ALTER TABLE orders RENAME COLUMN fingerprint TO content_hash;

-- These indexes are partial and small; neither engine renames an index in a way that the other knows.
DROP INDEX orders_unsearchable;
CREATE INDEX orders_without_search_text ON orders (id) WHERE search_prefix = '';
DROP INDEX orders_placed_here;
CREATE INDEX orders_reorders ON orders (placed_at) WHERE reordered_from IS NOT NULL;

UPDATE counters SET name = 'reorders' WHERE name = 'orders placed here';
