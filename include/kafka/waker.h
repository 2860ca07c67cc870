/*
 * A librdkafka queue that wakes the loop: librdkafka writes to an eventfd when the queue becomes
 * non-empty, and the loop then calls back. Thread: loop.
 */
#ifndef KAFKA_WAKER_H
#define KAFKA_WAKER_H

#include <librdkafka/rdkafka.h>
#include <uv.h>

struct waker {
    void (*on_wake)(void *opaque);
    void *opaque;

    /* private: */
    int fd;
    uv_poll_t poll;
};

/* Also wakes once at the beginning: what came before is not announced. */
void waker_open(struct waker *waker, uv_loop_t *loop, rd_kafka_queue_t *queue,
                void (*on_wake)(void *opaque), void *opaque);
void waker_close(struct waker *waker);

/* Again on the next turn: the queue was not emptied. */
void waker_again(struct waker *waker);

#endif
