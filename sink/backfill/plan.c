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

#include "backfill/partitions.h"
#include "base/memory.h"
#include "dispatch/route.h"
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

    const struct plan_request *request; /* borrowed, as the client is */
    rd_kafka_t *client;
};

/* How records become rows. */

static void describe_columns(struct buffer *text, const struct mapping *mapping)
{
    for (size_t i = 0; i < mapping->columns_count; i++) {
        const struct column *column = mapping->columns[i].column;
        buffer_printf(text, "%s%s %s", i > 0 ? ", " : "", column->quoted, column->type_name);
        if (column->typmod >= 0)
            buffer_printf(text, "[%" PRId32 "]", column->typmod);
    }
}

static bool describe_topic(struct buffer *text, const struct config *config, const char *topic,
                           PGconn *connection, struct err *err)
{
    struct route *route = route_create(config, topic);
    bool done = route_load_now(route, connection, err);

    if (done) {
        buffer_printf(text, "; %s into %s (", topic, route->mapping->table.quoted);
        describe_columns(text, route->mapping);
        buffer_append_text(text, ")");
    }
    route_destroy(route);
    return done;
}

/* Another text when rows would be other rows. free() ends it; NULL: err. */
static char *describe_mapping(const struct backfill *backfill, const struct config *config,
                              PGconn *connection, struct err *err)
{
    static const char *const unknown[] = {"ignore", "dead_letter", "stop"};
    struct buffer text = {0};
    bool done = true;

    buffer_printf(&text, "values %s, unknown fields %s",
                  config->value_format == CONFIG_VALUE_RAW ? "raw" : "json",
                  unknown[config->unknown_fields]);
    for (size_t i = 0; done && i < backfill->ranges_count; i++)
        if (i == 0 || strcmp(backfill->ranges[i].topic, backfill->ranges[i - 1].topic) != 0)
            done = describe_topic(&text, config, backfill->ranges[i].topic, connection, err);
    char *mapping = done ? memory_strdup(buffer_text(&text)) : NULL;
    buffer_finish(&text);
    return mapping;
}

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

static bool take_start(rd_kafka_topic_partition_t *partition, const PGresult *starts,
                       const char *sink, struct err *err)
{
    int row = find_row(starts, partition);

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
    partition->offset = strtoll(PQgetvalue(starts, row, 2), NULL, 10);
    return true;
}

static bool find_live(rd_kafka_topic_partition_list_t *found, const struct plan_request *request,
                      PGconn *connection, struct err *err)
{
    const char *sink = request->config->name;
    PGresult *starts = backfill_table_sink_starts(connection, sink, err);
    bool done = starts != NULL;

    for (int i = 0; done && i < found->cnt; i++)
        done = take_start(&found->elems[i], starts, sink, err);
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
        (request->until_live ? find_live(offsets->to, request, connection, err)
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

static void add_ranges(struct backfill *backfill, const struct offsets *offsets, int i,
                       const char *topic_id)
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
    for (size_t j = 0; j < count; j++) {
        ranges[j].topic = memory_strdup(log->topic);
        ranges[j].partition = log->partition;
        ranges[j].topic_id = memory_strdup(topic_id);
    }
    backfill->ranges_count += count;
}

/* Sorted by topic, so an id is asked for once. */
static bool add_all(struct backfill *backfill, const struct offsets *offsets, struct err *err)
{
    const struct plan_request *request = offsets->request;
    const rd_kafka_topic_partition_list_t *list = offsets->start;
    struct lookup_topic topic = {0};
    bool done = true;

    backfill->ranges = memory_new_array((size_t)list->cnt * (size_t)request->parallel + 1,
                                        sizeof(*backfill->ranges));
    for (int i = 0; done && i < list->cnt; i++) {
        if (i == 0 || strcmp(list->elems[i].topic, list->elems[i - 1].topic) != 0) {
            lookup_topic_finish(&topic);
            done = lookup_topic(offsets->client, list->elems[i].topic, &topic,
                                request->config->connect_timeout_ms, err);
        }
        if (done)
            add_ranges(backfill, offsets, i, topic.id);
    }
    lookup_topic_finish(&topic);
    return done;
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
    bool done = find_offsets(offsets, connection, err) && check_ends(offsets, err) &&
                add_all(backfill, offsets, err);

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
    backfill->mapping = describe_mapping(backfill, request->config, connection, err);
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

bool plan_is_same(const struct backfill *begun, const struct plan_request *request,
                  PGconn *connection, struct err *err)
{
    struct buffer differences = {0};
    char *mapping = describe_mapping(begun, request->config, connection, err);

    if (!mapping)
        return false;
    compare(&differences, "--from", begun->from, request->from_text);
    compare(&differences, "--to", begun->to, request->to_text);
    compare(&differences, "--partitions", begun->partitions, request->partitions);
    compare_number(&differences, "--parallel", begun->parallel, request->parallel);
    compare_number(&differences, "--of", begun->processes, request->processes);
    compare(&differences, "SINK_NAME", begun->sink, request->config->name);
    compare(&differences, "SINK_TOPICS", begun->topics, request->config->topics);
    compare(&differences, "the mapping", begun->mapping, mapping);
    bool same = differences.len == 0;
    if (!same)
        err_set(err, ERR_CONFIG,
                "backfill %s was begun for something else: %.700s; give another --name, or "
                "--restart to load all of it anew",
                begun->name, buffer_text(&differences));
    buffer_finish(&differences);
    free(mapping);
    return same;
}
