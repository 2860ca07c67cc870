/*
 * Answers to GET and HEAD, on the loop: what people and their tools ask about the sink.
 *
 * Answers are made by callbacks and kept for a moment, so that a thousand who ask at once cost one
 * answer. Requests are small, connections few, and none lasts: one request each, within seconds;
 * who is slow makes room for who comes next. All of it together gets a small share of the loop's
 * time. Thread: loop.
 */
#ifndef OPS_HTTP_H
#define OPS_HTTP_H

#include "base/buffer.h"
#include "base/err.h"

#include <sys/queue.h>
#include <uv.h>

enum { HTTP_CONNECTIONS = 320 }; /* at most, so that many files */

struct MHD_Daemon;
struct MHD_Response;

struct http_answer {
    unsigned status;          /* 200 to begin with */
    const char *content_type; /* static; text/plain to begin with */
    struct buffer body;       /* empty to begin with */
};

/* verbose: ?verbose was asked for. */
typedef void (*http_fill_cb)(void *opaque, bool verbose, struct http_answer *answer);

struct http_resource {
    const char *path;
    http_fill_cb fill;
    const char *summary; /* for who asks for something else; NULL: not to be named */
};

struct http_cached {
    struct MHD_Response *response; /* NULL: none */
    unsigned status;
    int64_t stale_us; /* then it is made anew */
};

struct http_peer;
TAILQ_HEAD(http_peer_list, http_peer);

struct http {

    /* private: */
    const struct http_resource *resources; /* borrowed */
    size_t resources_count;
    void *opaque;
    struct http_cached (*cached)[2]; /* of each resource: plain, verbose */
    struct MHD_Daemon *daemon;
    struct http_peer_list peers; /* who is connected, in the order of their coming */
    size_t peers_count;
    uint64_t came_count; /* since the start */
    int crowded_runs;    /* for so many runs it looks often: connections were short */
    uv_poll_t poll;
    uv_timer_t timer;
};

/* What there is to see. Borrowed, for as long as it is served. */
struct http_service {
    const struct http_resource *resources;
    size_t resources_count;
    void *opaque; /* for the resources' functions */
};

/* Serves the connections of a socket that listens, and closes it at the end. */
void http_open(struct http *http, uv_loop_t *loop, int fd, const struct http_service *service);

/* Drops who is connected; http_finish after the loop has run its close callbacks. */
void http_close(struct http *http);
void http_finish(struct http *http);

#endif
