-- The leader epoch of the record before a position: at the next start Kafka says where that epoch ends, and so
-- whether the log was cut off below the position meanwhile (an unclean election), even when it has grown again.

ALTER TABLE pgsluice.offsets
    ADD COLUMN lost_count bigint NOT NULL DEFAULT 0; -- offsets that retention deleted before they were read

COMMENT ON COLUMN pgsluice.offsets.lost_count IS
    'Offsets that were passed unread since Kafka had deleted their records (SINK_OUT_OF_RANGE=earliest).';

-- As before, and with the leader epoch of each partition's last record; -1: not known.
CREATE FUNCTION pgsluice.advance(
    p_sink          text,
    p_topics        text[],
    p_partitions    integer[],
    p_epochs        bigint[],
    p_from          bigint[],
    p_to            bigint[],
    p_leader_epochs integer[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    matched integer;
BEGIN
    UPDATE pgsluice.offsets AS o
       SET next_offset = m.to_offset,
           leader_epoch = m.leader_epoch,
           updated_at = now()
      FROM unnest(p_topics, p_partitions, p_epochs, p_from, p_to, p_leader_epochs)
           AS m (topic, partition, epoch, from_offset, to_offset, leader_epoch)
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

-- For instances of the former version that still run: they don't know the epoch of what they write.
CREATE OR REPLACE FUNCTION pgsluice.advance(
    p_sink       text,
    p_topics     text[],
    p_partitions integer[],
    p_epochs     bigint[],
    p_from       bigint[],
    p_to         bigint[]
) RETURNS void
LANGUAGE sql
AS $$
    SELECT pgsluice.advance(p_sink, p_topics, p_partitions, p_epochs, p_from, p_to,
                            array_fill(-1, ARRAY[cardinality(p_topics)]))
$$;
