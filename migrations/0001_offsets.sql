-- Where each partition stands: every record below next_offset is in PostgreSQL, none above it is.

CREATE TABLE pgsluice.offsets (
    sink         text        NOT NULL,             -- SINK_NAME
    topic        text        NOT NULL,
    partition    integer     NOT NULL,
    topic_id     text,                             -- reserved for Kafka's id of the topic
    next_offset  bigint      NOT NULL CHECK (next_offset >= 0),
    leader_epoch integer     NOT NULL DEFAULT -1,  -- reserved; -1: unknown
    epoch        bigint      NOT NULL DEFAULT 1,   -- one more with each claim: fences former owners
    owner        text        NOT NULL,             -- SINK_INSTANCE_ID of the last claim
    claimed_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic, partition)
) WITH (
    -- One row per partition, updated with every flush: room on the page keeps the updates HOT.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000
);

COMMENT ON TABLE pgsluice.offsets IS
    'Position of each partition: every record below next_offset is written, as a row or a dead letter.';

-- Moves positions inside a flush's transaction. It raises unless every partition is still owned under
-- the epoch and stands where the flush begins: a gate that only skipped the rows would lose them.
CREATE FUNCTION pgsluice.advance(
    p_sink       text,
    p_topics     text[],
    p_partitions integer[],
    p_epochs     bigint[],
    p_from       bigint[],
    p_to         bigint[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    matched integer;
BEGIN
    UPDATE pgsluice.offsets AS o
       SET next_offset = m.to_offset,
           updated_at = now()
      FROM unnest(p_topics, p_partitions, p_epochs, p_from, p_to)
           AS m (topic, partition, epoch, from_offset, to_offset)
     WHERE o.sink = p_sink
       AND o.topic = m.topic
       AND o.partition = m.partition
       AND o.epoch = m.epoch
       AND o.next_offset = m.from_offset;
    GET DIAGNOSTICS matched = ROW_COUNT;
    IF matched <> cardinality(p_topics) THEN
        RAISE EXCEPTION 'sink %: % of % partitions are not where this flush begins',
                        p_sink, cardinality(p_topics) - matched, cardinality(p_topics)
              USING ERRCODE = 'PS001',
                    HINT = 'another instance has claimed them, or the database went back in time';
    END IF;
END
$$;
