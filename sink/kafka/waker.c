/* One eventfd and its poll. */
#include "kafka/waker.h"

#include <assert.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const uint64_t one = 1;

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct waker *waker = poll->data;
    uint64_t count;

    (void)events;
    if (status == 0 && read(waker->fd, &count, sizeof(count)) == sizeof(count))
        waker->on_wake(waker->opaque);
}

void waker_again(struct waker *waker)
{
    ssize_t written = write(waker->fd, &one, sizeof(one));

    (void)written; /* fails only when the count is at its limit: then it wakes anyway */
}

void waker_open(struct waker *waker, uv_loop_t *loop, rd_kafka_queue_t *queue,
                void (*on_wake)(void *opaque), void *opaque)
{
    waker->on_wake = on_wake;
    waker->opaque = opaque;
    waker->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(waker->fd >= 0);
    uv_poll_init(loop, &waker->poll, waker->fd);
    waker->poll.data = waker;
    uv_poll_start(&waker->poll, UV_READABLE, on_poll);
    rd_kafka_queue_io_event_enable(queue, waker->fd, &one, sizeof(one));
    waker_again(waker);
}

static void on_closed(uv_handle_t *handle)
{
    struct waker *waker = handle->data;

    close(waker->fd);
}

/* The queue is told by its owner, which destroys it: until then writes go to an open descriptor. */
void waker_close(struct waker *waker)
{
    uv_poll_stop(&waker->poll);
    uv_close((uv_handle_t *)&waker->poll, on_closed);
}
