/*
 * Writes every SINK_HISTORY_INTERVAL_MS what this instance sees of its partitions and of itself
 * into PostgreSQL, for the views over pgsluice.consumer_lag_history.
 *
 * It has a connection of its own, so that it never takes one from a flush, nor waits behind one. It
 * only looks at what it is shown. Thread: loop.
 */
#ifndef COMMAND_SAMPLER_H
#define COMMAND_SAMPLER_H

#include "kafka/consumer.h"
#include "pg/pool.h"

enum sampler_state {
    SAMPLER_OFF,      /* SINK_HISTORY_INTERVAL_MS=0 */
    SAMPLER_IDLE,     /* waits until the next sample is due */
    SAMPLER_DUE,      /* waits for a connection; when it ends, not for long */
    SAMPLER_SAMPLING, /* waits for the answer */
    SAMPLER_PRUNING,  /* waits for the answer: old rows go */
    SAMPLER_ENDED,    /* the last sample is written, or there will be none */
};

struct sampler {
    const struct config *config; /* borrowed, as are the others */
    const struct dispatcher *dispatcher;
    const struct consumer *consumer;

    /* private: */
    enum sampler_state state;
    int64_t started_ms;    /* Unix time */
    struct config session; /* config, for a pool of one; its texts are config's */
    struct pool pool;
    struct conn_job job;
    uv_timer_t timer;
    int64_t end_by_ms;
    bool seen;    /* PostgreSQL has a sample of this run */
    bool ending;  /* one more sample */
    bool last;    /* this one is */
    bool failing; /* the last one was refused, which was logged */
};

/* The three fields above are set. */
void sampler_open(struct sampler *sampler, uv_loop_t *loop);

/*
 * One more sample, which says that this instance ends. With a connection at hand it shows the
 * partitions, which are still assigned; one that has to wait may come after them, without any.
 */
void sampler_end(struct sampler *sampler);

/* Whether that one is still to be waited for: not for long. */
bool sampler_is_busy(const struct sampler *sampler);

/* sampler_finish after the loop has run its close callbacks. */
void sampler_close(struct sampler *sampler);
void sampler_finish(struct sampler *sampler);

#endif
