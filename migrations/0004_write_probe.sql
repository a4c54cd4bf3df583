-- One row that is written to see whether the database can be written.
CREATE TABLE write_probe (
    id     BIGINT PRIMARY KEY NOT NULL,
    writes BIGINT NOT NULL,
    filler BYTEA                          -- as large as what a request writes
);
INSERT INTO write_probe (id, writes) VALUES (1, 0);
