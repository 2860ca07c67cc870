-- Records that could not become rows, kept whole, written in the transaction that moves past them.

CREATE TABLE pgsluice.dead_letters (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sink          text        NOT NULL,
    topic         text        NOT NULL,
    partition     integer     NOT NULL,
    record_offset bigint      NOT NULL,
    record_time   timestamptz,                -- the record's own timestamp
    key           bytea,
    value         bytea,
    headers       jsonb,                      -- [{"key": "...", "value": "..." or "base64": "..."}]
    reason        text        NOT NULL,
    sqlstate      text,                       -- when PostgreSQL refused it
    target_table  text        NOT NULL,
    target_column text,                       -- when one column is to blame
    instance      text        NOT NULL,       -- SINK_INSTANCE_ID
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX dead_letters_record_idx
    ON pgsluice.dead_letters (sink, topic, partition, record_offset);

COMMENT ON TABLE pgsluice.dead_letters IS
    'Records that could not become rows: the whole record, where it came from, and why.';
