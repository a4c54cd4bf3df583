-- Customers see when the shop's last import ended.
INSERT INTO counters (name, value)
SELECT 'last import', finished_at FROM imports WHERE outcome = 'done' ORDER BY finished_at DESC, id DESC LIMIT 1;

-- Whether a customer has orders of several shops. Only queries that say shop >= '' can use the index; others would prefer it to theirs.
CREATE INDEX orders_by_user_and_shop ON orders (user_id, shop) WHERE user_id IS NOT NULL AND shop >= '';
