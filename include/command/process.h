/*
 * What a process that runs the loop sees to before and after it, and signals. Thread: main, which
 * is the loop's.
 */
#ifndef COMMAND_PROCESS_H
#define COMMAND_PROCESS_H

#include "config.h"

#include <librdkafka/rdkafka.h>
#include <uv.h>

/* Before the first job: how many threads encode. Returns it. */
int process_set_workers(const struct config *config);

/* SIGTERM and SIGINT: the first one drains, a second one exits at once. */
struct process_signals {
    void (*on_first)(void *opaque);
    void (*on_exit)(void *opaque); /* before the exit; NULL: nothing is to be done */
    void *opaque;

    /* private: */
    uv_signal_t sigterm;
    uv_signal_t sigint;
    int64_t signalled_ms; /* 0: none has come */
};

/* The fields above are set. */
void process_signals_open(struct process_signals *signals, uv_loop_t *loop);
void process_signals_close(struct process_signals *signals);

/* What each log's last line says of a dispatcher's totals. */
#define PROCESS_TOTALS(totals)                                          \
    LOG_INT("records", (int64_t)(totals)->records_count),               \
        LOG_INT("rows", (int64_t)(totals)->rows_count),                 \
        LOG_INT("dead_letters", (int64_t)(totals)->dead_letters_count), \
        LOG_INT("flushes", (int64_t)(totals)->flushes_count),           \
        LOG_INT("failed_flushes", (int64_t)(totals)->failed_flushes_count)

/*
 * After the loop: all that matters is in PostgreSQL by now, so a client that hangs in its own
 * shutdown is left behind, and the process exits with the code.
 */
void process_destroy_clients(rd_kafka_t *const *consumers, size_t count, rd_kafka_t *producer,
                             int exit_code);

#endif
