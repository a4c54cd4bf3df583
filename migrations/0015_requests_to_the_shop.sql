-- What the customer gave as the reason for a cancellation, and the shop's answer. The status of the order stays what the shop's export says.
ALTER TABLE orders ADD COLUMN cancellation_reason TEXT;
ALTER TABLE orders ADD COLUMN cancellation_answer TEXT;          -- 'accepted', 'declined', or null before the answer
ALTER TABLE orders ADD COLUMN cancellation_answered_at BIGINT;

-- For the filter by pending requests: a customer has few of them.
CREATE INDEX orders_cancellations_by_user ON orders (user_id, placed_at, id) WHERE cancellation_asked_at IS NOT NULL;

-- Requests to the shop to send the products of an order again. They are no orders: the shop makes one, and its export brings it.
-- Orders with reordered_from are of earlier versions, which copied the order.
CREATE TABLE reorder_requests (
    id         TEXT PRIMARY KEY NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    order_id   TEXT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    lines      TEXT NOT NULL,            -- JSON: sku, name and quantity of each
    created_at BIGINT NOT NULL,
    done_at    BIGINT                    -- when the operator marked it as done
);
CREATE INDEX reorder_requests_by_user ON reorder_requests (user_id, created_at);
CREATE INDEX reorder_requests_by_order ON reorder_requests (order_id);
CREATE INDEX reorder_requests_pending ON reorder_requests (created_at) WHERE done_at IS NULL;

-- State changes of the running import, or of one that stopped, until its end queues one mail for each customer.
CREATE TABLE order_state_changes (
    order_id TEXT PRIMARY KEY NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    status   TEXT NOT NULL
);
CREATE INDEX order_state_changes_by_user ON order_state_changes (user_id);

-- When the customer turned mail about state changes off; null: on.
ALTER TABLE users ADD COLUMN order_mails_off_at BIGINT;
