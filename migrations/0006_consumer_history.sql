-- How each running sink does, for whoever has only SQL: every SINK_HISTORY_INTERVAL_MS each instance writes down
-- what it sees of its partitions and of itself, and views say what follows from it. Nothing that a flush needs
-- is locked, read or written here.
--
-- Times of samples are the server's. Times of what an instance has done are by its own clock.

CREATE TABLE pgsluice.consumer_settings (
    only_row              boolean  PRIMARY KEY DEFAULT true CHECK (only_row),
    retention             interval NOT NULL DEFAULT '72 hours'   CHECK (retention > '0'),
    rate_window           interval NOT NULL DEFAULT '5 minutes'  CHECK (rate_window > '0'),
    lag_records           bigint   NOT NULL DEFAULT 1000         CHECK (lag_records >= 0),
    production_percent    numeric  NOT NULL DEFAULT 80           CHECK (production_percent BETWEEN 0 AND 100),
    rebalances_per_hour   bigint   NOT NULL DEFAULT 5            CHECK (rebalances_per_hour >= 0),
    imbalance_percent     numeric  NOT NULL DEFAULT 20           CHECK (imbalance_percent >= 0),
    commit_percent        numeric  NOT NULL DEFAULT 99           CHECK (commit_percent BETWEEN 0 AND 100),
    commit_window         interval NOT NULL DEFAULT '5 minutes'  CHECK (commit_window > '0'),
    session_losses        bigint   NOT NULL DEFAULT 0            CHECK (session_losses >= 0),
    session_losses_window interval NOT NULL DEFAULT '10 minutes' CHECK (session_losses_window > '0'),
    stalled_for           interval NOT NULL DEFAULT '10 minutes' CHECK (stalled_for >= '0'),
    unassigned_for        interval NOT NULL DEFAULT '2 minutes'  CHECK (unassigned_for >= '0'),
    dead_letters          bigint   NOT NULL DEFAULT 0            CHECK (dead_letters >= 0),
    dead_letters_window   interval NOT NULL DEFAULT '15 minutes' CHECK (dead_letters_window > '0')
);

INSERT INTO pgsluice.consumer_settings DEFAULT VALUES;

COMMENT ON TABLE pgsluice.consumer_settings IS
    'One row: the thresholds of v_consumer_alerts, and how long history stays. UPDATE it; SET x = DEFAULT goes back.';
COMMENT ON COLUMN pgsluice.consumer_settings.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN pgsluice.consumer_settings.retention IS
    'How long samples stay, and instances and partitions that are not seen any more.';
COMMENT ON COLUMN pgsluice.consumer_settings.rate_window IS
    'Rates are averages over so long; at least two samples have to be in it.';
COMMENT ON COLUMN pgsluice.consumer_settings.lag_records IS
    'partition_lag_high: more records than this wait in a partition. falling_behind asks for as many in a topic.';
COMMENT ON COLUMN pgsluice.consumer_settings.production_percent IS
    'falling_behind: a topic is written at less than this share of the rate at which it grows.';
COMMENT ON COLUMN pgsluice.consumer_settings.rebalances_per_hour IS
    'rebalances_frequent: an instance was given partitions more often than this within an hour.';
COMMENT ON COLUMN pgsluice.consumer_settings.imbalance_percent IS
    'assignment_imbalanced: the most and the least partitions of an instance differ by more than one, and by more '
    'than this share of the average.';
COMMENT ON COLUMN pgsluice.consumer_settings.commit_percent IS
    'offset_commit_failures: fewer commits than this share of all have succeeded within commit_window.';
COMMENT ON COLUMN pgsluice.consumer_settings.commit_window IS 'See commit_percent.';
COMMENT ON COLUMN pgsluice.consumer_settings.session_losses IS
    'group_session_lost: an instance was thrown out of the group more often than this within session_losses_window.';
COMMENT ON COLUMN pgsluice.consumer_settings.session_losses_window IS 'See session_losses.';
COMMENT ON COLUMN pgsluice.consumer_settings.stalled_for IS
    'progress_stalled: records wait in a partition, and its position has not moved for so long.';
COMMENT ON COLUMN pgsluice.consumer_settings.unassigned_for IS
    'partitions_unassigned: no instance has seen a partition for so long; more than the interval of samples.';
COMMENT ON COLUMN pgsluice.consumer_settings.dead_letters IS
    'records_dead_lettered: more records of a topic than this have become dead letters within dead_letters_window.';
COMMENT ON COLUMN pgsluice.consumer_settings.dead_letters_window IS 'See dead_letters.';

CREATE TABLE pgsluice.consumer_instances (
    sink       text        NOT NULL,
    instance   text        NOT NULL,
    started_at timestamptz NOT NULL,
    group_id   text        NOT NULL,
    client_id  text        NOT NULL,
    version    text        NOT NULL,
    seen_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (sink, instance, started_at)
) WITH (fillfactor = 50); -- updated with every sample, as HOT

COMMENT ON TABLE pgsluice.consumer_instances IS 'Each process of a sink that has written a sample: one row a start.';
COMMENT ON COLUMN pgsluice.consumer_instances.sink IS 'SINK_NAME';
COMMENT ON COLUMN pgsluice.consumer_instances.instance IS 'SINK_INSTANCE_ID; processes may share one.';
COMMENT ON COLUMN pgsluice.consumer_instances.started_at IS 'When the process has started, by its own clock.';
COMMENT ON COLUMN pgsluice.consumer_instances.group_id IS 'KAFKA_GROUP_ID: the consumer group.';
COMMENT ON COLUMN pgsluice.consumer_instances.client_id IS 'Kafka''s client.id: CLIENT-ID of kafka-consumer-groups.';
COMMENT ON COLUMN pgsluice.consumer_instances.version IS 'Of the program.';
COMMENT ON COLUMN pgsluice.consumer_instances.seen_at IS 'Its last sample.';
COMMENT ON COLUMN pgsluice.consumer_instances.expires_at IS
    'It runs until then as far as one can tell: three samples later, or the end that it has announced.';

CREATE TABLE pgsluice.consumer_instance_history (
    sampled_at            timestamptz NOT NULL,
    sink                  text        NOT NULL,
    instance              text        NOT NULL,
    started_at            timestamptz NOT NULL,
    partitions            integer     NOT NULL,
    rebalances            bigint      NOT NULL,
    session_losses        bigint      NOT NULL,
    commits               bigint      NOT NULL,
    failed_commits        bigint      NOT NULL,
    kafka_commits         bigint      NOT NULL,
    failed_kafka_commits  bigint      NOT NULL,
    rows_written          bigint      NOT NULL,
    dead_letters          bigint      NOT NULL
);

CREATE INDEX consumer_instance_history_time_idx ON pgsluice.consumer_instance_history (sampled_at);

COMMENT ON TABLE pgsluice.consumer_instance_history IS
    'What each instance has counted since its start, sample by sample.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.sampled_at IS 'When: the time of the transaction.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.sink IS 'SINK_NAME';
COMMENT ON COLUMN pgsluice.consumer_instance_history.instance IS 'SINK_INSTANCE_ID';
COMMENT ON COLUMN pgsluice.consumer_instance_history.started_at IS 'Of the process: its counters began at 0 then.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.partitions IS 'Assigned to it at that time.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.rebalances IS 'How often it was given partitions.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.session_losses IS
    'How often it was out of the group before it knew: no heartbeat in session.timeout.ms, no poll in max.poll.interval.ms.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.commits IS 'Flushes committed in PostgreSQL, with their positions.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.failed_commits IS 'Flushes that were not.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.kafka_commits IS 'How often Kafka was told positions.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.failed_kafka_commits IS 'How often that has failed.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.rows_written IS 'Rows in PostgreSQL.';
COMMENT ON COLUMN pgsluice.consumer_instance_history.dead_letters IS 'Records that could not become rows.';

CREATE TABLE pgsluice.consumer_lag_history (
    sampled_at       timestamptz      NOT NULL,
    sink             text             NOT NULL,
    instance         text             NOT NULL,
    started_at       timestamptz      NOT NULL,
    topic            text             NOT NULL,
    partition        integer          NOT NULL,
    topic_partitions integer,
    state            text             NOT NULL,
    committed_offset bigint,
    end_offset       bigint,
    lag              bigint,
    lag_seconds      double precision,
    latency_seconds  double precision,
    records_read     bigint           NOT NULL,
    rows_written     bigint           NOT NULL,
    dead_letters     bigint           NOT NULL,
    assigned_at      timestamptz      NOT NULL,
    last_consumed_at timestamptz,
    last_written_at  timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.05); -- rows go at one end as they come at the other

CREATE INDEX consumer_lag_history_partition_idx
    ON pgsluice.consumer_lag_history (sink, topic, partition, sampled_at);
CREATE INDEX consumer_lag_history_time_idx ON pgsluice.consumer_lag_history (sampled_at);

COMMENT ON TABLE pgsluice.consumer_lag_history IS
    'Each partition as the instance that has it sees it, sample by sample. Kept for consumer_settings.retention.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.sampled_at IS 'When: the time of the transaction.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.sink IS 'SINK_NAME';
COMMENT ON COLUMN pgsluice.consumer_lag_history.instance IS 'SINK_INSTANCE_ID of whom the partition is assigned to.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.started_at IS 'When that process has started.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.topic IS 'Its topic.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.partition IS 'Its number.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.topic_partitions IS 'How many its topic has. NULL: not known yet.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.state IS
    'RUNNING; STARTING: claims its position; RETRYING: PostgreSQL is away or refuses; FAILED: halted, see /status.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.committed_offset IS
    'Its position in PostgreSQL: every record below it is written. NULL: not known yet.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.end_offset IS
    'The end of its log for readers of committed records. NULL: not known yet.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.lag IS
    'Records that wait: end_offset less committed_offset, or 0 when nothing but markers and aborted records is between.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.lag_seconds IS 'The age of the oldest of them.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.latency_seconds IS
    'From the timestamp of the record that was written last to its commit. NULL: none since it was assigned.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.records_read IS 'Taken from Kafka since it was assigned.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.rows_written IS 'Rows in PostgreSQL since it was assigned.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.dead_letters IS 'Dead letters since it was assigned.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.assigned_at IS 'Since when this instance has it.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.last_consumed_at IS 'When a record came. NULL: none since it was assigned.';
COMMENT ON COLUMN pgsluice.consumer_lag_history.last_written_at IS
    'When it was last committed. NULL: not since it was assigned.';

-- The last sample of each partition, whoever has taken it.
CREATE TABLE pgsluice.consumer_partitions (
    LIKE pgsluice.consumer_lag_history INCLUDING COMMENTS,
    PRIMARY KEY (sink, topic, partition)
) WITH (fillfactor = 50); -- updated with every sample, as HOT

COMMENT ON TABLE pgsluice.consumer_partitions IS
    'The last sample of each partition. It has an owner while the last sample of an instance that runs has it.';

-- A sample of an instance: that it runs, and what it has counted since its start. Without another one within
-- p_lifetime it counts as gone.
CREATE FUNCTION pgsluice.sample_instance(
    p_sink                 text,
    p_instance             text,
    p_started_at           timestamptz,
    p_group_id             text,
    p_client_id            text,
    p_version              text,
    p_lifetime             interval,
    p_partitions           integer,
    p_rebalances           bigint,
    p_session_losses       bigint,
    p_commits              bigint,
    p_failed_commits       bigint,
    p_kafka_commits        bigint,
    p_failed_kafka_commits bigint,
    p_rows_written         bigint,
    p_dead_letters         bigint
) RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO pgsluice.consumer_instances
           (sink, instance, started_at, group_id, client_id, version, seen_at, expires_at)
    VALUES (p_sink, p_instance, p_started_at, p_group_id, p_client_id, p_version, now(), now() + p_lifetime)
        ON CONFLICT (sink, instance, started_at)
        DO UPDATE SET seen_at = EXCLUDED.seen_at, expires_at = EXCLUDED.expires_at;
    INSERT INTO pgsluice.consumer_instance_history
           (sampled_at, sink, instance, started_at, partitions, rebalances, session_losses, commits, failed_commits,
            kafka_commits, failed_kafka_commits, rows_written, dead_letters)
    VALUES (now(), p_sink, p_instance, p_started_at, p_partitions, p_rebalances, p_session_losses, p_commits,
            p_failed_commits, p_kafka_commits, p_failed_kafka_commits, p_rows_written, p_dead_letters);
$$;

-- In the same transaction, the sample of its partitions: arrays of the same length, one partition each. The order
-- of the rows keeps two instances that meet from a deadlock.
CREATE FUNCTION pgsluice.sample_partitions(
    p_sink              text,
    p_instance          text,
    p_started_at        timestamptz,
    p_topics            text[],
    p_states            text[],
    p_partitions        integer[],
    p_topic_partitions  integer[],
    p_committed_offsets bigint[],
    p_end_offsets       bigint[],
    p_lags              bigint[],
    p_lag_ms            bigint[],
    p_latency_ms        bigint[],
    p_records_read      bigint[],
    p_rows_written      bigint[],
    p_dead_letters      bigint[],
    p_assigned_ms       bigint[], -- since 1970, as are the next two
    p_consumed_ms       bigint[],
    p_written_ms        bigint[]
) RETURNS void
LANGUAGE sql
AS $$
    WITH sample AS (
        SELECT now(), p_sink, p_instance, p_started_at, u.topic, u.partition, u.topic_partitions, u.state, u.committed,
               u.log_end, u.lag, u.lag_ms / 1000.0, u.latency_ms / 1000.0, u.records, u.rows, u.letters,
               to_timestamp(u.assigned_ms / 1000.0), to_timestamp(u.consumed_ms / 1000.0),
               to_timestamp(u.written_ms / 1000.0)
          FROM unnest(p_topics, p_states, p_partitions, p_topic_partitions, p_committed_offsets, p_end_offsets, p_lags,
                      p_lag_ms, p_latency_ms, p_records_read, p_rows_written, p_dead_letters, p_assigned_ms,
                      p_consumed_ms, p_written_ms)
               AS u (topic, state, partition, topic_partitions, committed, log_end, lag, lag_ms, latency_ms, records, rows,
                     letters, assigned_ms, consumed_ms, written_ms)
         ORDER BY u.topic, u.partition
    ), kept AS (
        INSERT INTO pgsluice.consumer_lag_history SELECT * FROM sample
    )
    INSERT INTO pgsluice.consumer_partitions AS p SELECT * FROM sample
        ON CONFLICT (sink, topic, partition) DO UPDATE SET
           sampled_at = EXCLUDED.sampled_at, instance = EXCLUDED.instance, started_at = EXCLUDED.started_at,
           topic_partitions = EXCLUDED.topic_partitions, state = EXCLUDED.state,
           committed_offset = EXCLUDED.committed_offset, end_offset = EXCLUDED.end_offset, lag = EXCLUDED.lag,
           lag_seconds = EXCLUDED.lag_seconds, latency_seconds = EXCLUDED.latency_seconds,
           records_read = EXCLUDED.records_read, rows_written = EXCLUDED.rows_written,
           dead_letters = EXCLUDED.dead_letters, assigned_at = EXCLUDED.assigned_at,
           last_consumed_at = EXCLUDED.last_consumed_at, last_written_at = EXCLUDED.last_written_at;
$$;

-- Deletes what is older than consumer_settings.retention: of each table p_limit rows at most, so that it never
-- takes long. One session at a time does it; others return 0. Returns how many rows have gone.
CREATE FUNCTION pgsluice.prune_consumer_history(p_limit integer DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    oldest  timestamptz;
    removed bigint;
    total   bigint := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('pgsluice.prune_consumer_history')) THEN
        RETURN 0;
    END IF;
    SELECT now() - retention INTO oldest FROM pgsluice.consumer_settings;
    DELETE FROM pgsluice.consumer_lag_history
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM pgsluice.consumer_lag_history
                              WHERE sampled_at < oldest ORDER BY sampled_at LIMIT p_limit));
    GET DIAGNOSTICS removed = ROW_COUNT;
    total := total + removed;
    DELETE FROM pgsluice.consumer_instance_history
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM pgsluice.consumer_instance_history
                              WHERE sampled_at < oldest ORDER BY sampled_at LIMIT p_limit));
    GET DIAGNOSTICS removed = ROW_COUNT;
    total := total + removed;
    DELETE FROM pgsluice.consumer_partitions
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM pgsluice.consumer_partitions
                              WHERE sampled_at < oldest LIMIT p_limit));
    GET DIAGNOSTICS removed = ROW_COUNT;
    total := total + removed;
    DELETE FROM pgsluice.consumer_instances
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM pgsluice.consumer_instances
                              WHERE seen_at < oldest LIMIT p_limit));
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN total + removed;
END
$$;

-- Each partition and each instance, joined where they belong together.
CREATE VIEW pgsluice.v_consumer_activity_monitoring AS
SELECT coalesce(p.sink, i.sink) AS sink,
       i.group_id,
       CASE WHEN i.runs THEN i.instance END AS owner,
       coalesce(p.instance, i.instance) AS instance,
       i.client_id,
       i.version,
       i.started_at,
       coalesce(i.seen_at, p.sampled_at) AS seen_at,
       p.topic,
       p.partition,
       CASE WHEN i.runs THEN coalesce(p.state, 'STANDBY') ELSE 'UNASSIGNED' END AS state,
       p.assigned_at,
       p.last_consumed_at,
       p.last_written_at,
       p.committed_offset,
       p.end_offset,
       p.lag
  FROM pgsluice.consumer_partitions AS p
  FULL JOIN (SELECT *, true AS runs FROM pgsluice.consumer_instances WHERE expires_at > now()) AS i
    ON i.sink = p.sink AND i.instance = p.instance AND i.started_at = p.started_at AND i.seen_at = p.sampled_at;

COMMENT ON VIEW pgsluice.v_consumer_activity_monitoring IS
    'Who has which partition, and when it was last read and written; instances that stand by, partitions without an owner.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.sink IS 'SINK_NAME';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.group_id IS 'The consumer group of its owner.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.owner IS 'The instance that has it now. NULL: none.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.instance IS 'The instance that has it, or had it last.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.client_id IS 'Its client.id in Kafka.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.version IS 'Its version of the program.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.started_at IS 'When its process has started.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.seen_at IS 'The last sample of it, or of the partition.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.topic IS 'NULL: the instance runs and has no partition.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.partition IS 'NULL: the instance runs and has no partition.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.state IS
    'As in consumer_lag_history; UNASSIGNED: no instance has it; STANDBY: the instance has none.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.assigned_at IS 'Since when that instance has, or had, it.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.last_consumed_at IS 'When a record of it last came from Kafka.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.last_written_at IS 'When it was last committed.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.committed_offset IS 'Its position in PostgreSQL.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.end_offset IS 'The end of its log.';
COMMENT ON COLUMN pgsluice.v_consumer_activity_monitoring.lag IS 'Records that wait.';

-- Differences between the last sample and the first one of the window. Offsets go on when a partition moves to
-- another instance; what an instance has counted does not.
CREATE VIEW pgsluice.v_consumer_performance_monitor AS
SELECT p.sink,
       p.topic,
       p.partition,
       p.instance,
       p.sampled_at,
       CASE WHEN ago.seconds > 0 THEN ago.sampled_at END AS since,
       (p.end_offset - ago.end_offset) / nullif(ago.seconds, 0) AS produced_per_second,
       (p.records_read - own.records_read) / nullif(own.seconds, 0) AS consumed_per_second,
       (p.committed_offset - ago.committed_offset) / nullif(ago.seconds, 0) AS written_per_second,
       (p.rows_written - own.rows_written) / nullif(own.seconds, 0) AS rows_per_second,
       p.lag,
       p.lag_seconds,
       p.latency_seconds
  FROM (SELECT * FROM pgsluice.consumer_settings LIMIT 1) AS s
 CROSS JOIN pgsluice.consumer_partitions AS p
  JOIN pgsluice.consumer_instances AS i
    ON i.sink = p.sink AND i.instance = p.instance AND i.started_at = p.started_at AND i.seen_at = p.sampled_at
  LEFT JOIN LATERAL (
       SELECT h.sampled_at, h.end_offset, h.committed_offset,
              extract(epoch FROM p.sampled_at - h.sampled_at)::double precision AS seconds
         FROM pgsluice.consumer_lag_history AS h
        WHERE h.sink = p.sink AND h.topic = p.topic AND h.partition = p.partition
          AND h.sampled_at >= p.sampled_at - s.rate_window
          AND h.end_offset IS NOT NULL AND h.committed_offset IS NOT NULL
        ORDER BY h.sampled_at LIMIT 1) AS ago ON true
  LEFT JOIN LATERAL (
       SELECT h.records_read, h.rows_written,
              extract(epoch FROM p.sampled_at - h.sampled_at)::double precision AS seconds
         FROM pgsluice.consumer_lag_history AS h
        WHERE h.sink = p.sink AND h.topic = p.topic AND h.partition = p.partition
          AND h.sampled_at >= p.sampled_at - s.rate_window
          AND h.instance = p.instance AND h.assigned_at = p.assigned_at
        ORDER BY h.sampled_at LIMIT 1) AS own ON true
 WHERE i.expires_at > now();

COMMENT ON VIEW pgsluice.v_consumer_performance_monitor IS
    'How fast each partition that an instance has grows, is read and is written, and how far it is behind: as of its last '
    'sample, rates over consumer_settings.rate_window. NULL: not known yet.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.sink IS 'SINK_NAME';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.topic IS 'Its topic.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.partition IS 'Its number.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.instance IS 'Who has it.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.sampled_at IS 'When this was so.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.since IS 'What the rates of offsets count from.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.produced_per_second IS 'Offsets by which its log grows.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.consumed_per_second IS 'Records that its owner takes from Kafka.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.written_per_second IS
    'Offsets by which its position moves in PostgreSQL.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.rows_per_second IS 'Rows that its owner writes.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.lag IS 'Records that wait.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.lag_seconds IS 'The age of the oldest of them.';
COMMENT ON COLUMN pgsluice.v_consumer_performance_monitor.latency_seconds IS
    'From the timestamp of the record that was written last to its commit.';

CREATE VIEW pgsluice.v_consumer_alerts AS
WITH settings AS (
    SELECT * FROM pgsluice.consumer_settings LIMIT 1 -- so that the planner, too, knows that it is one row
),
-- Partitions with an owner.
owned AS (
    SELECT p.*
      FROM pgsluice.consumer_partitions AS p
      JOIN pgsluice.consumer_instances AS i
        ON i.sink = p.sink AND i.instance = p.instance AND i.started_at = p.started_at AND i.seen_at = p.sampled_at
     WHERE i.expires_at > now()
),
-- What each instance has counted from one sample to the next, over the longest of the windows. A process that
-- has started within it has counted from 0.
instance_steps AS (
    SELECT h.sink, h.instance, h.sampled_at,
           h.rebalances - coalesce(lag(h.rebalances) OVER w, f.base * h.rebalances) AS rebalances,
           h.session_losses - coalesce(lag(h.session_losses) OVER w, f.base * h.session_losses) AS session_losses,
           h.commits - coalesce(lag(h.commits) OVER w, f.base * h.commits) AS commits,
           h.failed_commits - coalesce(lag(h.failed_commits) OVER w, f.base * h.failed_commits) AS failed_commits,
           h.kafka_commits - coalesce(lag(h.kafka_commits) OVER w, f.base * h.kafka_commits) AS kafka_commits,
           h.failed_kafka_commits
           - coalesce(lag(h.failed_kafka_commits) OVER w, f.base * h.failed_kafka_commits) AS failed_kafka_commits
      FROM settings AS s
     CROSS JOIN LATERAL (
           SELECT now() - greatest('1 hour', s.session_losses_window, s.commit_window) AS oldest) AS o
      JOIN pgsluice.consumer_instance_history AS h ON h.sampled_at >= o.oldest
     CROSS JOIN LATERAL (SELECT CASE WHEN h.started_at >= o.oldest THEN 0 ELSE 1 END AS base) AS f
    WINDOW w AS (PARTITION BY h.sink, h.instance, h.started_at ORDER BY h.sampled_at)
),
-- The same of the dead letters of each partition; they count from its assignment.
letter_steps AS (
    SELECT h.sink, h.topic, h.sampled_at,
           h.dead_letters - coalesce(lag(h.dead_letters) OVER w,
                                     CASE WHEN h.assigned_at >= now() - s.dead_letters_window THEN 0
                                          ELSE h.dead_letters END) AS dead_letters
      FROM settings AS s
      JOIN pgsluice.consumer_lag_history AS h ON h.sampled_at >= now() - s.dead_letters_window
    WINDOW w AS (PARTITION BY h.sink, h.topic, h.partition, h.instance, h.assigned_at ORDER BY h.sampled_at)
),
commit_sums AS (
    SELECT sink, instance, 'PostgreSQL' AS store, sum(commits) AS good, sum(failed_commits) AS bad,
           min(sampled_at) FILTER (WHERE failed_commits > 0) AS since
      FROM settings AS s JOIN instance_steps AS h ON h.sampled_at >= now() - s.commit_window
     GROUP BY sink, instance
    UNION ALL
    SELECT sink, instance, 'Kafka', sum(kafka_commits), sum(failed_kafka_commits),
           min(sampled_at) FILTER (WHERE failed_kafka_commits > 0)
      FROM settings AS s JOIN instance_steps AS h ON h.sampled_at >= now() - s.commit_window
     GROUP BY sink, instance
),
-- How many partitions each instance has that runs.
shares AS (
    SELECT i.sink, count(o.topic) AS partitions, max(o.assigned_at) AS assigned_at
      FROM pgsluice.consumer_instances AS i
      LEFT JOIN owned AS o ON o.sink = i.sink AND o.instance = i.instance AND o.started_at = i.started_at
     WHERE i.expires_at > now()
     GROUP BY i.sink, i.instance, i.started_at
),
-- By topic: its last sample, and how many partitions it has had for unassigned_for, as far as one knew.
topics AS (
    SELECT last.sink, last.topic, last.sampled_at, known.partitions
      FROM settings AS s
     CROSS JOIN (SELECT DISTINCT ON (sink, topic) * FROM pgsluice.consumer_partitions
                  ORDER BY sink, topic, sampled_at DESC) AS last
     CROSS JOIN LATERAL (
           SELECT min(h.topic_partitions) AS partitions
             FROM pgsluice.consumer_lag_history AS h
            WHERE h.sink = last.sink AND h.topic = last.topic AND h.partition = last.partition
              AND h.sampled_at >= last.sampled_at - s.unassigned_for) AS known
),
unassigned AS (
    SELECT t.sink, t.topic,
           greatest(t.partitions - count(*), 0) -- never seen
           + count(*) FILTER (WHERE o.topic IS NULL AND p.sampled_at < now() - s.unassigned_for) AS partitions,
           coalesce(min(p.sampled_at) FILTER (WHERE o.topic IS NULL), t.sampled_at) AS since
      FROM settings AS s
     CROSS JOIN topics AS t
      JOIN pgsluice.consumer_partitions AS p ON p.sink = t.sink AND p.topic = t.topic
      LEFT JOIN owned AS o ON o.sink = p.sink AND o.topic = p.topic AND o.partition = p.partition
     GROUP BY t.sink, t.topic, t.partitions, t.sampled_at, s.unassigned_for
),
-- What waits, by topic, and how fast.
speeds AS (
    SELECT sink, topic, sum(lag) AS lag, min(since) AS since,
           sum(produced_per_second) AS produced, sum(written_per_second) AS written
      FROM pgsluice.v_consumer_performance_monitor
     WHERE produced_per_second >= 0 AND written_per_second >= 0
     GROUP BY sink, topic
)
SELECT 'partition_lag_high' AS alert, 'warning' AS severity, p.sink, p.instance, p.topic, p.partition,
       format('%s[%s] is %s records behind', p.topic, p.partition, p.lag) AS what,
       p.lag::numeric AS value, s.lag_records::numeric AS threshold,
       (SELECT min(h.sampled_at) FROM pgsluice.consumer_lag_history AS h
         WHERE h.sink = p.sink AND h.topic = p.topic AND h.partition = p.partition
           AND h.sampled_at > coalesce((SELECT max(g.sampled_at) FROM pgsluice.consumer_lag_history AS g
                                         WHERE g.sink = p.sink AND g.topic = p.topic
                                           AND g.partition = p.partition AND g.lag <= s.lag_records),
                                       '-infinity')) AS since,
       'compare produced_per_second with written_per_second in v_consumer_performance_monitor; if PostgreSQL is what is '
       'slow, see its locks, indexes and disk; else add a replica' AS remedy
  FROM settings AS s JOIN owned AS p ON p.lag > s.lag_records
UNION ALL
SELECT 'falling_behind', 'warning', t.sink, NULL, t.topic, NULL,
       format('%s grows by %s records a second, of which %s are written', t.topic, round(t.produced::numeric, 1),
              round(t.written::numeric, 1)),
       round((100 * t.written / t.produced)::numeric, 1), s.production_percent, t.since,
       'add replicas as long as there are more partitions than replicas; see pgsluice_pg_connections and '
       'pgsluice_flush_duration_seconds for what is busy'
  FROM settings AS s
  JOIN speeds AS t ON t.lag > s.lag_records AND t.produced > 0 AND 100 * t.written < s.production_percent * t.produced
UNION ALL
SELECT 'rebalances_frequent', 'warning', h.sink, h.instance, NULL, NULL,
       format('%s was given partitions %s times within an hour', h.instance, sum(h.rebalances)),
       sum(h.rebalances), s.rebalances_per_hour, min(h.sampled_at) FILTER (WHERE h.rebalances > 0),
       'started_at in v_consumer_activity_monitoring tells who restarts; group_session_lost beside this: too little CPU, or '
       'the network'
  FROM settings AS s JOIN instance_steps AS h ON h.sampled_at >= now() - interval '1 hour'
 GROUP BY h.sink, h.instance, s.rebalances_per_hour
HAVING sum(h.rebalances) > s.rebalances_per_hour
UNION ALL
SELECT 'assignment_imbalanced', 'info', h.sink, NULL, NULL, NULL,
       format('instances have from %s to %s partitions', min(h.partitions), max(h.partitions)),
       round(100 * (max(h.partitions) - min(h.partitions)) / avg(h.partitions), 1), s.imbalance_percent,
       max(h.assigned_at),
       'v_consumer_activity_monitoring shows who has what; KAFKA_PARTITION_ASSIGNMENT_STRATEGY=cooperative-sticky (the '
       'default) spreads the partitions of all topics evenly'
  FROM settings AS s CROSS JOIN shares AS h
 GROUP BY h.sink, s.imbalance_percent
HAVING max(h.partitions) - min(h.partitions) > 1
   AND 100 * (max(h.partitions) - min(h.partitions)) > s.imbalance_percent * avg(h.partitions)
UNION ALL
SELECT 'offset_commit_failures', 'warning', c.sink, c.instance, NULL, NULL,
       format('%s of %s commits to %s have failed', c.bad, c.good + c.bad, c.store),
       round(100 * c.good / (c.good + c.bad), 2), s.commit_percent, c.since,
       CASE c.store WHEN 'Kafka' THEN 'the log says why (offsets not told to Kafka); with exactly_once only Kafka''s own lag '
                                      'tools depend on it'
            ELSE 'last_error in /status and the log say why; refused records become dead letters' END
  FROM settings AS s JOIN commit_sums AS c ON c.bad > 0 AND 100 * c.good < s.commit_percent * (c.good + c.bad)
UNION ALL
SELECT 'group_session_lost', 'warning', h.sink, h.instance, NULL, NULL,
       format('%s was thrown out of the consumer group %s times', h.instance, sum(h.session_losses)),
       sum(h.session_losses), s.session_losses, min(h.sampled_at) FILTER (WHERE h.session_losses > 0),
       'its process or its network stood still for longer than KAFKA_SESSION_TIMEOUT_MS: see CPU limits, swapping, brokers'
  FROM settings AS s JOIN instance_steps AS h ON h.sampled_at >= now() - s.session_losses_window
 GROUP BY h.sink, h.instance, s.session_losses
HAVING sum(h.session_losses) > s.session_losses
UNION ALL
SELECT 'progress_stalled', 'critical', p.sink, p.instance, p.topic, p.partition,
       format('%s[%s] stands still at %s, and %s records wait; its state is %s', p.topic, p.partition,
              coalesce(p.committed_offset::text, 'no position'), coalesce(p.lag::text, 'unknown'), p.state),
       floor(extract(epoch FROM now() - still.since)), extract(epoch FROM s.stalled_for), still.since,
       'trace in /status and "partition halted" in the log say why; a halted partition is tried again every minute, so '
       'mending the cause is enough'
  FROM settings AS s
  JOIN owned AS p ON p.lag > 0 OR p.committed_offset IS NULL
 CROSS JOIN LATERAL (
       SELECT min(h.sampled_at) AS since FROM pgsluice.consumer_lag_history AS h
        WHERE h.sink = p.sink AND h.topic = p.topic AND h.partition = p.partition
          AND h.sampled_at > coalesce((SELECT max(g.sampled_at) FROM pgsluice.consumer_lag_history AS g
                                        WHERE g.sink = p.sink AND g.topic = p.topic AND g.partition = p.partition
                                          AND (g.lag = 0 OR g.committed_offset IS DISTINCT FROM p.committed_offset)),
                                      '-infinity')) AS still
 WHERE still.since <= now() - s.stalled_for
UNION ALL
SELECT 'partitions_unassigned', 'critical', u.sink, NULL, u.topic, NULL,
       format('%s partitions of %s have no owner', u.partitions, u.topic), u.partitions, 0, u.since,
       format('start a replica, or see why the rebalance does not end (kafka-consumer-groups --describe --state). When the '
              'sink shall not read it any more: DELETE FROM pgsluice.consumer_partitions WHERE sink = %L AND topic = %L',
              u.sink, u.topic)
  FROM unassigned AS u
 WHERE u.partitions > 0
UNION ALL
SELECT 'records_dead_lettered', 'warning', l.sink, NULL, l.topic, NULL,
       format('%s records of %s became dead letters', sum(l.dead_letters), l.topic),
       sum(l.dead_letters), s.dead_letters, min(l.sampled_at) FILTER (WHERE l.dead_letters > 0),
       'pgsluice dead-letters list says why; mend the cause, then pgsluice dead-letters replay'
  FROM settings AS s CROSS JOIN letter_steps AS l
 GROUP BY l.sink, l.topic, s.dead_letters
HAVING sum(l.dead_letters) > s.dead_letters;

COMMENT ON VIEW pgsluice.v_consumer_alerts IS
    'What is wrong now: one row each, none when all is well. Thresholds are in consumer_settings. The names are those of '
    'the Prometheus rules.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.alert IS 'Its name.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.severity IS 'critical: data stands still; warning; info.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.sink IS 'Where: SINK_NAME.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.instance IS 'Where: the instance. NULL: not of one instance.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.topic IS 'Where: the topic. NULL: not of one topic.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.partition IS 'Where: the partition. NULL: not of one partition.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.what IS 'In words.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.value IS
    'What is compared: records, percent, times within the window, seconds, partitions.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.threshold IS 'With what.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.since IS 'The first sample that shows it.';
COMMENT ON COLUMN pgsluice.v_consumer_alerts.remedy IS 'What to do.';
