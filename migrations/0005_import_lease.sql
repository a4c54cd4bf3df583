-- At most one import writes at a time. Its process renews the lease with each transaction; a lease that is past its end, or that ends
-- further ahead than any lease is given, belongs to a process that is gone.
CREATE TABLE import_lease (
    name       TEXT PRIMARY KEY NOT NULL,  -- always 'orders'
    holder_id  TEXT NOT NULL,              -- of one run of the import
    host       TEXT NOT NULL,
    process_id BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
