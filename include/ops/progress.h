/*
 * How far a run over fixed offsets has come: a picture that its owner fills in, and what follows
 * from it. The block on a terminal, the lines in a log, the summary and the JSON are printed from
 * it.
 *
 * The sum that has to come out, for each range and for the whole:
 *
 *   end - start = records + offsets without a record + offsets gone to retention + offsets left
 *   records     = rows + skipped + dead letters
 *
 * An offset without a record is a transaction's marker, an aborted record, or one that compaction
 * has taken: Kafka does not say which, only that there is none. Thread: any, pure.
 */
#ifndef OPS_PROGRESS_H
#define OPS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum progress_state {
    PROGRESS_PLANNED,     /* nothing was read yet */
    PROGRESS_RUNNING,     /* some process works on it */
    PROGRESS_INTERRUPTED, /* none does, and something is left: to be run again */
    PROGRESS_INCOMPLETE,  /* as interrupted, and what is left is for other processes */
    PROGRESS_COMPLETE,
};

/* In the order in which they are worth looking at. */
enum progress_range_state {
    PROGRESS_RANGE_HALTED, /* it can not go on, and says why */
    PROGRESS_RANGE_LOADING,
    PROGRESS_RANGE_WAITING, /* nobody works on it yet, or nobody does any more */
    PROGRESS_RANGE_COMPLETE,
};

enum { PROGRESS_RANGE_STATES = PROGRESS_RANGE_COMPLETE + 1 };

/* A piece of a partition, which is one range unless it was cut into several. */
struct progress_range {
    const char *topic; /* borrowed */
    int32_t partition;
    int32_t range; /* 0, 1, ... in the order of offsets */
    enum progress_range_state state;
    const char *reason; /* borrowed; why it is halted; NULL: it is not */

    int64_t start_offset; /* its first */
    int64_t next_offset;  /* every offset below is dealt with */
    int64_t end_offset;   /* behind its last */

    int64_t records_count; /* read and dealt with */
    int64_t rows_count;
    int64_t skipped_count; /* records that are no rows and no dead letters, as the mapping wants */
    int64_t dead_letters_count;
    int64_t lost_count; /* offsets that retention had taken before they were read */
    int64_t bytes;      /* keys and values of the records */

    /* Of the records with the lowest and the highest offset; -1: none, or not known. */
    int64_t first_offset, last_offset;
    int64_t first_timestamp_ms, last_timestamp_ms; /* Unix time */
};

/* A run. A zeroed one with a name is one without ranges, planned. */
struct progress {
    const char *name; /* borrowed */
    const char *note; /* borrowed; of the summary, below its first line; NULL: none */
    enum progress_state state;
    int64_t
        started_ms; /* Unix time of its first start, of the same clock as the next; 0: not known */
    int64_t ended_ms;                    /* Unix time; 0: it has not */
    int64_t now_ms;                      /* Unix time of this picture */
    const struct progress_range *ranges; /* borrowed; by topic, partition and range */
    size_t ranges_count;
};

/* Ranges taken together: those of a partition, or all. */
struct progress_sum {
    int64_t offsets_count; /* in range: end - start */
    int64_t done_count;    /* of them: dealt with */
    int64_t records_count;
    int64_t rows_count;
    int64_t skipped_count;
    int64_t dead_letters_count;
    int64_t lost_count;
    int64_t empty_count; /* offsets without a record */
    int64_t left_count;  /* offsets not dealt with */
    int64_t bytes;
};

struct progress_sum progress_sum(const struct progress *progress);

/* Whether both sums of the file's head come out, in each range. */
bool progress_adds_up(const struct progress *progress);

/*
 * The ranges of one partition, which lie side by side, as one: offsets from the lowest to the
 * highest, counts added, the state that is most worth looking at. `next_offset` is the start and
 * what is done, which is no position where ranges are several. Returns how many ranges there were;
 * 0: `at` is behind the last.
 */
size_t progress_partition(const struct progress *progress, size_t at,
                          struct progress_range *merged);

size_t progress_partitions_count(const struct progress *progress);

/* Done, of a thousand. 1000 only when nothing is left, also when nothing was to be done. */
int progress_permille(int64_t done, int64_t total);

/* Between its first start and its end, or now: with the pauses in which no process ran. */
int64_t progress_took_ms(const struct progress *progress);

/* Over the whole time. */
int64_t progress_rows_per_s(const struct progress *progress);

/* "planned", "running", "interrupted", "incomplete", "complete" */
const char *progress_state_name(enum progress_state state);

/* "halted", "loading", "waiting", "complete" */
const char *progress_range_state_name(enum progress_range_state state);

#endif
