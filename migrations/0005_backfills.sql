-- One-off runs over fixed offsets: what was asked for, and how far each range is. No position of a sink is
-- touched by them.

CREATE TABLE pgsluice.backfills (
    name         text        PRIMARY KEY,
    plan         uuid        NOT NULL DEFAULT gen_random_uuid(), -- another one when it is begun anew (--restart)
    sink         text        NOT NULL,                -- SINK_NAME
    topics       text        NOT NULL,                -- SINK_TOPICS; what follows is as it was asked for
    asked_from   text        NOT NULL,
    asked_to     text        NOT NULL,
    partitions   text        NOT NULL,                -- '': all
    parallel     integer     NOT NULL,                -- ranges of a partition at most
    processes    integer     NOT NULL,                -- how many share the partitions
    mapping      text        NOT NULL,                -- how records become rows: settings, tables, columns
    created_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz                          -- when its last range was
);

COMMENT ON TABLE pgsluice.backfills IS
    'Runs of pgsluice backfill: what each was asked for; its offsets are in pgsluice.backfill_ranges.';

CREATE TABLE pgsluice.backfill_ranges (
    backfill           text    NOT NULL REFERENCES pgsluice.backfills ON DELETE CASCADE,
    topic              text    NOT NULL,
    partition          integer NOT NULL,
    range              integer NOT NULL,              -- of the partition, from 0 in the order of offsets
    topic_id           text,                          -- Kafka's id of the topic, where it has one
    start_offset       bigint  NOT NULL CHECK (start_offset >= 0),
    end_offset         bigint  NOT NULL,              -- the first one behind the range
    next_offset        bigint  NOT NULL CHECK (next_offset BETWEEN start_offset AND end_offset),
    leader_epoch       integer NOT NULL DEFAULT -1,   -- of the last record; -1: unknown
    -- One more with each claim: fences former owners. It begins with the time in microseconds, so that a plan
    -- that is made anew never meets the epoch of a former one.
    epoch              bigint  NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    owner              text,                          -- SINK_INSTANCE_ID of the last claim
    rows_count         bigint  NOT NULL DEFAULT 0,
    skipped_count      bigint  NOT NULL DEFAULT 0,    -- records that are neither row nor dead letter
    dead_letters_count bigint  NOT NULL DEFAULT 0,
    lost_count         bigint  NOT NULL DEFAULT 0,    -- offsets that Kafka had deleted before they were read
    bytes              bigint  NOT NULL DEFAULT 0,    -- keys and values
    first_offset       bigint,                        -- of the records that were read: the lowest, the highest
    last_offset        bigint,
    first_timestamp_ms bigint,                        -- their timestamps, milliseconds since 1970
    last_timestamp_ms  bigint,
    claimed_at         timestamptz,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    finished_at        timestamptz,
    PRIMARY KEY (backfill, topic, partition, range)
) WITH (
    -- As pgsluice.offsets: updated with every flush.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000
);

COMMENT ON TABLE pgsluice.backfill_ranges IS
    'Every record of a range below next_offset is written, as a row or a dead letter, once; none above is.';

-- As pgsluice.advance, for ranges, and with what was written. Arrays of the same length: one move each.
CREATE FUNCTION pgsluice.advance_backfill(
    p_backfill      text,
    p_topics        text[],
    p_partitions    integer[],
    p_ranges        integer[],
    p_epochs        bigint[],
    p_from          bigint[],
    p_to            bigint[],
    p_leader_epochs integer[],
    p_rows          bigint[],
    p_skipped       bigint[],
    p_dead_letters  bigint[],
    p_bytes         bigint[],
    p_first_offsets bigint[],
    p_last_offsets  bigint[],
    p_first_ms      bigint[],
    p_last_ms       bigint[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    matched integer;
BEGIN
    UPDATE pgsluice.backfill_ranges AS r
       SET next_offset = m.to_offset,
           leader_epoch = m.leader_epoch,
           rows_count = r.rows_count + m.rows,
           skipped_count = r.skipped_count + m.skipped,
           dead_letters_count = r.dead_letters_count + m.dead_letters,
           bytes = r.bytes + m.bytes,
           first_offset = CASE WHEN m.has_records THEN coalesce(r.first_offset, m.first_offset) ELSE r.first_offset END,
           last_offset = CASE WHEN m.has_records THEN m.last_offset ELSE r.last_offset END,
           first_timestamp_ms = CASE WHEN m.has_records THEN coalesce(r.first_timestamp_ms, m.first_ms)
                                     ELSE r.first_timestamp_ms END,
           last_timestamp_ms = CASE WHEN m.has_records THEN m.last_ms ELSE r.last_timestamp_ms END,
           updated_at = now(),
           finished_at = CASE WHEN m.to_offset = r.end_offset THEN now() END
      FROM (SELECT u.*, u.rows + u.skipped + u.dead_letters > 0 AS has_records -- else only a gap was passed
              FROM unnest(p_topics, p_partitions, p_ranges, p_epochs, p_from, p_to, p_leader_epochs, p_rows,
                          p_skipped, p_dead_letters, p_bytes, p_first_offsets, p_last_offsets, p_first_ms,
                          p_last_ms)
                   AS u (topic, partition, range, epoch, from_offset, to_offset, leader_epoch, rows,
                         skipped, dead_letters, bytes, first_offset, last_offset, first_ms,
                         last_ms)) AS m
     WHERE r.backfill = p_backfill
       AND r.topic = m.topic
       AND r.partition = m.partition
       AND r.range = m.range
       AND r.epoch = m.epoch
       AND r.next_offset = m.from_offset;
    GET DIAGNOSTICS matched = ROW_COUNT;
    IF matched <> cardinality(p_topics) THEN
        RAISE EXCEPTION 'backfill %: % of % ranges are not where this flush begins',
                        p_backfill, cardinality(p_topics) - matched, cardinality(p_topics)
              USING ERRCODE = 'PS001',
                    HINT = 'another process has claimed them, or the database went back in time';
    END IF;
END
$$;

-- Where a sink began, so that a backfill can end there (--until-live). NULL: its row is of a former version.
ALTER TABLE pgsluice.offsets ADD COLUMN first_offset bigint;

COMMENT ON COLUMN pgsluice.offsets.first_offset IS
    'The lowest position that the sink ever began at: it has written nothing below it.';

ALTER TABLE pgsluice.dead_letters ADD COLUMN backfill text; -- NULL: of a running sink

COMMENT ON COLUMN pgsluice.dead_letters.backfill IS 'The backfill that has met the record.';
