/*
 * What a log holds is [start, end), and what is final of it [start, stable): from the last stable
 * offset on, a transaction is open. A bound is brought into it:
 *
 *   --from   0 ..... start                            lost: 0 .. start
 *                    start ........ stable            where it is; a time later than all records:
 *                                                     stable, an empty range
 *   --to             start ........ stable            where it is; latest: stable
 *                                   stable .... end   refused: it can't be had before the
 *                                                     transaction has ended
 *                                               end   and later: as end, since nothing is there yet
 *
 * The end never moves afterwards, so a run ends by itself however much is produced meanwhile.
 *
 * The race of the questions with producers and transactions, which must not look like one that is
 * open: the end is asked for first, `stable` last. Without an open transaction, stable is then at
 * or behind that end, and at or behind all offsets that were found between.
 */
#include "backfill/plan.h"

#include "backfill/description.h"
#include "backfill/partitions.h"
#include "base/memory.h"
#include "kafka/lookup.h"
#include "ops/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHORTEST_RANGE = 1000 };

/* One offset for each partition of the list: the answers of Kafka and of PostgreSQL. */
struct offsets {
    rd_kafka_topic_partition_list_t *start; /* of the log */
    rd_kafka_topic_partition_list_t *end;
    rd_kafka_topic_partition_list_t *stable;
    rd_kafka_topic_partition_list_t *from; /* what was asked for, in the log or not */
    rd_kafka_topic_partition_list_t *to;
    struct lookup_id *ids; /* of the topics, asked for before all offsets */

    const struct plan_request *request; /* borrowed, as the client is */
    rd_kafka_t *client;
};

/* Where bounds are. */

/* Of all records: one of an open transaction has its time as well. */
static bool find_bound(rd_kafka_topic_partition_list_t *found, const struct bound *bound,
                       const struct offsets *offsets, struct err *err)
{
    if (bound->kind == BOUND_TIME &&
        !lookup_offsets_of_all(offsets->client, found, bound->time_ms,
                               offsets->request->config->connect_timeout_ms, err))
        return false;
    for (int i = 0; i < found->cnt; i++) {
        if (bound->kind == BOUND_EARLIEST)
            found->elems[i].offset = offsets->start->elems[i].offset;
        else if (bound->kind == BOUND_OFFSET)
            found->elems[i].offset = bound->offset;
        else if (bound->kind == BOUND_TIME && found->elems[i].offset < 0)
            found->elems[i].offset = offsets->end->elems[i].offset;
    }
    return true;
}

static void take_latest(const struct offsets *offsets)
{
    for (int i = 0; i < offsets->to->cnt; i++)
        offsets->to->elems[i].offset = offsets->stable->elems[i].offset;
}

/* The row of the result; -1: none. */
static int find_row(const PGresult *starts, const rd_kafka_topic_partition_t *partition)
{
    for (int row = 0; row < PQntuples(starts); row++)
        if (strcmp(PQgetvalue(starts, row, 0), partition->topic) == 0 &&
            strtol(PQgetvalue(starts, row, 1), NULL, 10) == partition->partition)
            return row;
    return -1;
}

static bool refuse_other_topic(const rd_kafka_topic_partition_t *partition, const char *sink,
                               const char *before, const char *now, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "--until-live: sink %s began with another topic %s, which was deleted and made "
                   "anew: its id was %s and is %s; tell the sink where to go on with the new one "
                   "(pgsluice offsets reset), or give --to OFFSET instead",
                   sink, partition->topic, before, now);
}

/* now: the topic's id, "" where the cluster has none. */
static bool take_start(rd_kafka_topic_partition_t *partition, const PGresult *starts,
                       const char *sink, const char *now, struct err *err)
{
    int row = find_row(starts, partition);
    const char *before = row < 0 ? "" : PQgetvalue(starts, row, 3); /* NULL: "" */

    if (row < 0)
        return err_set(err, ERR_CONFIG,
                       "--until-live: sink %s has not begun with %s[%" PRId32
                       "] yet (SINK_NAME); start it first",
                       sink, partition->topic, partition->partition);
    if (PQgetisnull(starts, row, 2))
        return err_set(err, ERR_CONFIG,
                       "--until-live: sink %s began with %s[%" PRId32
                       "] under a former version, which has not noted where; give --to OFFSET",
                       sink, partition->topic, partition->partition);
    if (*before && *now && strcmp(before, now) != 0)
        return refuse_other_topic(partition, sink, before, now, err);
    partition->offset = strtoll(PQgetvalue(starts, row, 2), NULL, 10);
    return true;
}

static bool find_live(const struct offsets *offsets, PGconn *connection, struct err *err)
{
    rd_kafka_topic_partition_list_t *found = offsets->to;
    const char *sink = offsets->request->config->name;
    PGresult *starts = backfill_table_sink_starts(connection, sink, err);
    bool done = starts != NULL;

    for (int i = 0; done && i < found->cnt; i++)
        done = take_start(&found->elems[i], starts, sink, offsets->ids[i].text, err);
    PQclear(starts);
    return done;
}

static bool find_offsets(struct offsets *offsets, PGconn *connection, struct err *err)
{
    const struct plan_request *request = offsets->request;
    rd_kafka_t *client = offsets->client;
    int64_t timeout_ms = request->config->connect_timeout_ms;

    bool found =
        lookup_offsets(client, offsets->start, RD_KAFKA_OFFSET_SPEC_EARLIEST, timeout_ms, err) &&
        lookup_offsets_of_all(client, offsets->end, RD_KAFKA_OFFSET_SPEC_LATEST, timeout_ms, err) &&
        find_bound(offsets->from, &request->from, offsets, err) &&
        (request->until_live ? find_live(offsets, connection, err)
                             : find_bound(offsets->to, &request->to, offsets, err)) &&
        lookup_offsets(client, offsets->stable, RD_KAFKA_OFFSET_SPEC_LATEST, timeout_ms, err);

    if (found && !request->until_live && request->to.kind == BOUND_LATEST)
        take_latest(offsets);
    return found;
}

/* What is asked for, of what is there. */

static bool refuse_open(const struct plan_end *end, const struct plan_request *request,
                        struct err *err)
{
    return err_set(err, ERR_CONTENTION,
                   "%s[%" PRId32 "]: %s%.100s is offset %" PRId64
                   " there, and a transaction is open from offset %" PRId64
                   " on (the last stable offset): what it writes is not known yet; start it again "
                   "once the transaction has ended",
                   end->topic, end->partition, request->until_live ? "" : "--to ", request->to_text,
                   end->to, end->stable);
}

/* A sink began where the log was once, and is not any more. */
static bool refuse_short(const struct plan_end *end, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "%s[%" PRId32 "]: the sink began at offset %" PRId64
                   ", and the log ends at %" PRId64
                   ": it is not the one that the sink began with; instead of --until-live give "
                   "--to OFFSET",
                   end->topic, end->partition, end->to, end->end);
}

bool plan_check_end(const struct plan_end *end, const struct plan_request *request, struct err *err)
{
    struct plan_end wanted = *end;

    if (!request->until_live && request->to.kind == BOUND_OFFSET && wanted.to > wanted.end)
        wanted.to = wanted.end;
    if (wanted.to <= wanted.stable)
        return true;
    return request->until_live && wanted.to > wanted.end ? refuse_short(&wanted, err)
                                                         : refuse_open(&wanted, request, err);
}

static bool check_ends(const struct offsets *offsets, struct err *err)
{
    bool done = true;

    for (int i = 0; done && i < offsets->to->cnt; i++) {
        const rd_kafka_topic_partition_t *to = &offsets->to->elems[i];
        struct plan_end end = {.topic = to->topic,
                               .partition = to->partition,
                               .to = to->offset,
                               .stable = offsets->stable->elems[i].offset,
                               .end = offsets->end->elems[i].offset};
        done = plan_check_end(&end, offsets->request, err);
    }
    return done;
}

/* Ranges. */

size_t plan_cut(struct backfill_range *ranges, int64_t parallel, int64_t start, int64_t next,
                int64_t end)
{
    int64_t length = end - next;
    int64_t count = length / SHORTEST_RANGE;

    count = count < 1 ? 1 : count > parallel ? parallel : count;
    for (int64_t i = 0; i < count; i++) {
        int64_t begin = next + length / count * i;
        ranges[i] = (struct backfill_range){
            .range = (int32_t)i,
            .start_offset = i == 0 ? start : begin,
            .next_offset = begin,
            .end_offset = i == count - 1 ? end : next + length / count * (i + 1),
            .lost_count = i == 0 ? next - start : 0,
        };
    }
    return (size_t)count;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void log_truncated(const struct plan_request *request,
                          const rd_kafka_topic_partition_t *start, int64_t from, int64_t lost)
{
    if (lost > 0)
        log_warn("the beginning is gone", LOG_STR("topic", start->topic),
                 LOG_INT("partition", start->partition), LOG_INT("from", from),
                 LOG_INT("first_offset", start->offset), LOG_INT("offsets_gone", lost));
    else if (request->from.kind == BOUND_TIME && start->offset > 0 && from == start->offset)
        log_warn("the beginning may be gone: the log holds nothing older than what is asked for",
                 LOG_STR("topic", start->topic), LOG_INT("partition", start->partition),
                 LOG_INT("first_offset", start->offset));
}

/* A time that is not over yet, or an offset that is not there yet. */
static void warn_of_end(const struct offsets *offsets, int i, int64_t end)
{
    const struct plan_request *request = offsets->request;
    const rd_kafka_topic_partition_t *to = &offsets->to->elems[i];
    bool ahead =
        request->to.kind == BOUND_TIME ? request->to.time_ms > request->now_ms : to->offset > end;

    if (!request->until_live && ahead)
        log_warn("the log ends before --to: what comes later is no part of it",
                 LOG_STR("topic", to->topic), LOG_INT("partition", to->partition),
                 LOG_STR("to", request->to_text), LOG_INT("log_end_offset", end));
}

/* Without an error: of several partitions it may be so in one. */
static void warn_of_order(const struct offsets *offsets, int i)
{
    const rd_kafka_topic_partition_t *from = &offsets->from->elems[i];
    int64_t to = offsets->to->elems[i].offset;

    if (from->offset > to)
        log_warn("nothing is loaded of it: --from is behind the end", LOG_STR("topic", from->topic),
                 LOG_INT("partition", from->partition), LOG_INT("from_offset", from->offset),
                 LOG_INT("to_offset", to));
}

static void add_ranges(struct backfill *backfill, const struct offsets *offsets, int i)
{
    const struct plan_request *request = offsets->request;
    const rd_kafka_topic_partition_t *log = &offsets->start->elems[i];
    int64_t log_end = offsets->stable->elems[i].offset;
    int64_t from = clamp(offsets->from->elems[i].offset, 0, log_end);
    int64_t end = clamp(offsets->to->elems[i].offset, from, log_end > from ? log_end : from);
    int64_t next = clamp(log->offset, from, end);
    struct backfill_range *ranges = &backfill->ranges[backfill->ranges_count];
    size_t count = plan_cut(ranges, request->parallel, from, next, end);

    log_truncated(request, log, from, next - from);
    warn_of_end(offsets, i, log_end);
    warn_of_order(offsets, i);
    for (size_t j = 0; j < count; j++) {
        ranges[j].topic = memory_strdup(log->topic);
        ranges[j].partition = log->partition;
        ranges[j].topic_id = memory_strdup(offsets->ids[i].text);
        ranges[j].written = (struct offsets_written){.first_offset = -1,
                                                     .last_offset = -1,
                                                     .first_timestamp_ms = -1,
                                                     .last_timestamp_ms = -1};
    }
    backfill->ranges_count += count;
}

static void add_all(struct backfill *backfill, const struct offsets *offsets)
{
    int count = offsets->start->cnt;

    backfill->ranges = memory_new_array((size_t)count * (size_t)offsets->request->parallel + 1,
                                        sizeof(*backfill->ranges));
    for (int i = 0; i < count; i++)
        add_ranges(backfill, offsets, i);
}

/* Partitions. */

/* That there is none, or none of a number that was asked for, is a mistake. */
static bool choose_partitions(rd_kafka_topic_partition_list_t *list, const char *wanted,
                              struct err *err)
{
    int32_t largest = -1;

    if (list->cnt == 0)
        return err_set(err, ERR_CONFIG, "SINK_TOPICS: there is no such topic, or none to be seen");
    for (int i = list->cnt - 1; i >= 0; i--) {
        if (list->elems[i].partition > largest)
            largest = list->elems[i].partition;
        if (!partitions_has(wanted, list->elems[i].partition))
            rd_kafka_topic_partition_list_del_by_idx(list, i);
    }
    rd_kafka_topic_partition_list_sort(list, NULL, NULL);
    return partitions_last(wanted) <= largest ||
           err_set(err, ERR_CONFIG,
                   "--partitions: there is no partition %" PRId32 ", they are 0 to %" PRId32,
                   partitions_last(wanted), largest);
}

static bool plan_offsets(struct backfill *backfill, struct offsets *offsets, PGconn *connection,
                         struct err *err)
{
    offsets->end = rd_kafka_topic_partition_list_copy(offsets->start);
    offsets->stable = rd_kafka_topic_partition_list_copy(offsets->start);
    offsets->from = rd_kafka_topic_partition_list_copy(offsets->start);
    offsets->to = rd_kafka_topic_partition_list_copy(offsets->start);
    offsets->ids = lookup_ids(offsets->client, offsets->start,
                              offsets->request->config->connect_timeout_ms, err);
    bool done = offsets->ids && find_offsets(offsets, connection, err) && check_ends(offsets, err);

    if (done)
        add_all(backfill, offsets);
    free(offsets->ids);
    rd_kafka_topic_partition_list_destroy(offsets->end);
    rd_kafka_topic_partition_list_destroy(offsets->stable);
    rd_kafka_topic_partition_list_destroy(offsets->from);
    rd_kafka_topic_partition_list_destroy(offsets->to);
    return done;
}

static void take_request(struct backfill *backfill, const struct plan_request *request)
{
    backfill->name = memory_strdup(request->name);
    backfill->sink = memory_strdup(request->config->name);
    backfill->topics = memory_strdup(request->config->topics);
    backfill->from = memory_strdup(request->from_text);
    backfill->to = memory_strdup(request->to_text);
    backfill->partitions = memory_strdup(request->partitions);
    backfill->parallel = request->parallel;
    backfill->processes = request->processes;
}

bool plan_make(struct backfill *backfill, const struct plan_request *request, rd_kafka_t *client,
               PGconn *connection, struct err *err)
{
    struct offsets offsets = {.request = request, .client = client};

    offsets.start =
        lookup_partitions(client, request->config, request->config->connect_timeout_ms, err);
    bool done = offsets.start && choose_partitions(offsets.start, request->partitions, err) &&
                plan_offsets(backfill, &offsets, connection, err);

    if (offsets.start)
        rd_kafka_topic_partition_list_destroy(offsets.start);
    if (!done)
        return false;
    take_request(backfill, request);
    backfill->mapping = description_make(backfill, request->config, connection, err);
    return backfill->mapping != NULL;
}

/* What was asked for before. */

static void compare(struct buffer *differences, const char *what, const char *before,
                    const char *now)
{
    if (strcmp(before, now) != 0)
        buffer_printf(differences, "%s%s was %s and is %s", differences->len ? "; " : "", what,
                      *before ? before : "not given", *now ? now : "not given");
}

static void compare_number(struct buffer *differences, const char *what, int64_t before,
                           int64_t now)
{
    if (before != now)
        buffer_printf(differences, "%s%s was %" PRId64 " and is %" PRId64,
                      differences->len ? "; " : "", what, before, now);
}

/* What was loaded before a table has gained columns has none of them. */
static void take_gain(struct backfill *begun, const char *mapping)
{
    log_warn("columns were added since it was begun: rows that were loaded before have no values "
             "there",
             LOG_STR("backfill", begun->name), LOG_STR("before", begun->mapping),
             LOG_STR("now", mapping));
    free(begun->mapping);
    begun->mapping = memory_strdup(mapping);
}

static void compare_options(struct buffer *differences, const struct backfill *begun,
                            const struct plan_request *request)
{
    compare(differences, "--from", begun->from, request->from_text);
    compare(differences, "--to", begun->to, request->to_text);
    compare(differences, "--partitions", begun->partitions, request->partitions);
    compare_number(differences, "--parallel", begun->parallel, request->parallel);
    compare_number(differences, "--of", begun->processes, request->processes);
    compare(differences, "SINK_NAME", begun->sink, request->config->name);
    compare(differences, "SINK_TOPICS", begun->topics, request->config->topics);
}

bool plan_is_same(struct backfill *begun, const struct plan_request *request, PGconn *connection,
                  bool *gained, struct err *err)
{
    struct buffer differences = {0};
    char *mapping = description_make(begun, request->config, connection, err);

    if (!mapping)
        return false;
    compare_options(&differences, begun, request);
    bool changed = !description_gained(begun->mapping, mapping);
    if (changed)
        compare(&differences, "the mapping", begun->mapping, mapping);
    bool same = differences.len == 0;
    *gained = same && strcmp(begun->mapping, mapping) != 0;
    if (*gained)
        take_gain(begun, mapping);
    if (!same)
        err_set(err, ERR_CONFIG,
                "backfill %.100s was begun for something else: %.700s; %sgive another --name, or "
                "--restart to load all of it anew",
                begun->name, buffer_text(&differences),
                changed ? "to go on with it, make the tables as they were; else " : "");
    buffer_finish(&differences);
    free(mapping);
    return same;
}

/* Its topics. */

static rd_kafka_topic_partition_list_t *what_is_left(const struct backfill *begun)
{
    rd_kafka_topic_partition_list_t *left =
        rd_kafka_topic_partition_list_new((int)begun->ranges_count);

    for (size_t i = 0; i < begun->ranges_count; i++)
        if (begun->ranges[i].next_offset < begun->ranges[i].end_offset)
            rd_kafka_topic_partition_list_add(left, begun->ranges[i].topic,
                                              begun->ranges[i].partition);
    return left;
}

static bool is_of_topic(const struct backfill *begun, const struct backfill_range *range,
                        const char *id, struct err *err)
{
    if (!*id || !*range->topic_id || strcmp(id, range->topic_id) == 0)
        return true;
    return err_set(err, ERR_CONFIG,
                   "topic %s was deleted and made anew: its id is %s, and backfill %.100s was "
                   "planned for the one with id %s; to load the new one, give another --name, or "
                   "--restart",
                   range->topic, id, begun->name, range->topic_id);
}

static bool are_of_topics(const struct backfill *begun, const struct lookup_id *ids,
                          struct err *err)
{
    bool done = true;

    for (size_t i = 0; done && i < begun->ranges_count; i++)
        if (begun->ranges[i].next_offset < begun->ranges[i].end_offset)
            done = is_of_topic(begun, &begun->ranges[i], (ids++)->text, err);
    return done;
}

bool plan_has_topics(const struct backfill *begun, const struct config *config, rd_kafka_t *client,
                     struct err *err)
{
    rd_kafka_topic_partition_list_t *left = what_is_left(begun);
    struct lookup_id *ids = lookup_ids(client, left, config->connect_timeout_ms, err);
    bool done = ids ? are_of_topics(begun, ids, err)
                    : err_context(err, "backfill %.100s can't go on", begun->name);

    free(ids);
    rd_kafka_topic_partition_list_destroy(left);
    return done;
}
