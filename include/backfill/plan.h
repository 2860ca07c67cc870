/*
 * From what was asked for to ranges with fixed offsets. Blocking: Kafka says where logs begin and
 * end and where times are in them, PostgreSQL where a sink began. Thread: main.
 */
#ifndef BACKFILL_PLAN_H
#define BACKFILL_PLAN_H

#include "backfill/bound.h"
#include "config.h"
#include "pg/backfill_table.h"

#include <librdkafka/rdkafka.h>

struct plan_request {
    const struct config *config; /* borrowed, as are the others */
    const char *name;
    const char *from_text; /* as asked for, and what that means now */
    const char *to_text;
    struct bound from;
    struct bound to;
    int64_t now_ms;         /* Unix time of the start, which bounds may be relative to */
    bool until_live;        /* instead of `to`: where the sink began */
    const char *partitions; /* "": all */
    int64_t parallel;       /* ranges of a partition at most */
    int64_t processes;
};

/*
 * Fills a zeroed backfill, which is not written anywhere: backfill_finish ends it. False:
 * ERR_OUTAGE, a server does not answer; ERR_CONTENTION, a transaction is open where the end should
 * be; ERR_CONFIG, it can not be planned, and why.
 */
bool plan_make(struct backfill *backfill, const struct plan_request *request, rd_kafka_t *client,
               PGconn *connection, struct err *err) MUST_CHECK;

/*
 * Whether a backfill that was begun before is the one that is asked for now. Its tables may have
 * gained columns: then *gained, and its mapping is the one of now. False, ERR_CONFIG: all that
 * differs; ERR_OUTAGE: its tables could not be asked.
 */
bool plan_is_same(struct backfill *begun, const struct plan_request *request, PGconn *connection,
                  bool *gained, struct err *err) MUST_CHECK;

/*
 * Whether the topics of what is left to load are there, and are those that it was planned for.
 * Blocking. False: ERR_CONFIG, one is not; ERR_OUTAGE.
 */
bool plan_has_topics(const struct backfill *begun, const struct config *config, rd_kafka_t *client,
                     struct err *err) MUST_CHECK;

/* Where a partition's range should end, and what there is. */
struct plan_end {
    const char *topic; /* borrowed */
    int32_t partition;
    int64_t to;     /* asked for */
    int64_t stable; /* the last stable offset: from there on a transaction is open */
    int64_t end;    /* of the log */
};

/*
 * Whether all that is asked for, of what the log holds, can be had. False: ERR_CONTENTION, not
 * before a transaction has ended; ERR_CONFIG, the log ends before the offset where the sink began.
 */
bool plan_check_end(const struct plan_end *end, const struct plan_request *request,
                    struct err *err) MUST_CHECK;

/*
 * The ranges of a partition from `next` to before `end`: `parallel` of about the same length, or
 * fewer, since very short ones would not be worth it; one at least. The first begins at `start`,
 * which may be lower: what is between is lost. Returns how many; `ranges` has room for `parallel`.
 */
size_t plan_cut(struct backfill_range *ranges, int64_t parallel, int64_t start, int64_t next,
                int64_t end);

#endif
