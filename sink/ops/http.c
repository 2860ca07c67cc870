/*
 * libmicrohttpd without threads: its epoll descriptor is one of the loop's, and after each event it
 * runs for a moment.
 *
 *   WATCHING --readable--> run --> RESTING --REST_MIN_MS to REST_MAX_MS--> WATCHING
 *
 * The rest is what keeps a flood of requests from the data: the longer the run, the longer, so that
 * short runs get one part in SHARE of the loop's time. Answers are kept for FRESH_US, or
 * FRESH_SHARE times as long as they take to make, so that a flood costs few of them.
 *
 * libmicrohttpd accepts ACCEPTED at a time. With a rest behind each, those who come in numbers
 * would wait in line for a second, and the probe with them; hence it is run again while there are
 * more.
 *
 * libmicrohttpd's own timeout counts from the last byte, so one byte now and then would keep a
 * connection for ever; and with all connections taken it accepts none, so the slow would keep out
 * the probe that decides whether we live. Hence the list of peers: each has PEER_MS in all, and
 * when connections run short, the oldest one goes.
 */
#include "ops/http.h"

#include "base/clock.h"
#include "base/memory.h"
#include "ops/log.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

enum {
    SHARE = 25,
    REST_MIN_MS = 10, /* each run also costs the loop a turn */
    REST_MAX_MS = 40,
    SWEEP_MS = 1000,
    PEER_MS = 5000,
    PEERS_SPARE = 8, /* free connections from which on the oldest goes */
    REQUEST_BYTES = 8 * 1024,
    FRESH_US = 250000, /* an answer is given again */
    FRESH_SHARE = 50,
    ACCEPTED = 10,
    RUN_US = 1000,    /* behind it, who comes waits for the next run */
    CROWDED_RUNS = 3, /* it closes whom we dropped, then listens again, and one to spare */
};

struct http_peer {
    TAILQ_ENTRY(http_peer) entry;
    int fd;
    int64_t came_ms;
    bool dropped;
};

/* Peers. */

/* libmicrohttpd sees the end and closes it. */
static void drop_peer(struct http_peer *peer)
{
    peer->dropped = true;
    shutdown(peer->fd, SHUT_RDWR);
}

static void drop_oldest(struct http *http)
{
    struct http_peer *peer;

    TAILQ_FOREACH (peer, &http->peers, entry) {
        /* cppcheck-suppress uninitvar ; TAILQ_FOREACH sets it */
        if (!peer->dropped) {
            drop_peer(peer);
            return;
        }
    }
}

static void drop_slow(struct http *http)
{
    int64_t before_ms = clock_now_ms() - PEER_MS;
    struct http_peer *peer;

    TAILQ_FOREACH (peer, &http->peers, entry) {
        /* cppcheck-suppress uninitvar ; TAILQ_FOREACH sets it */
        if (peer->came_ms > before_ms)
            return;
        drop_peer(peer);
    }
}

static void add_peer(struct http *http, struct MHD_Connection *connection, void **context)
{
    struct http_peer *peer = memory_new(sizeof(*peer));

    peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    peer->came_ms = clock_now_ms();
    TAILQ_INSERT_TAIL(&http->peers, peer, entry);
    http->peers_count++;
    http->came_count++;
    *context = peer;
    if (http->peers_count <= HTTP_CONNECTIONS - PEERS_SPARE)
        return;
    http->crowded_runs = CROWDED_RUNS;
    drop_oldest(http);
}

static void remove_peer(struct http *http, struct http_peer *peer)
{
    TAILQ_REMOVE(&http->peers, peer, entry);
    http->peers_count--;
    free(peer);
}

static void on_connection(void *opaque, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode event)
{
    if (event == MHD_CONNECTION_NOTIFY_STARTED)
        add_peer(opaque, connection, context);
    else
        remove_peer(opaque, *context);
}

/* Answers. */

/* Takes the body. */
static struct MHD_Response *make_response(struct http_answer *answer)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.len, answer->body.data, MHD_RESPMEM_MUST_FREE);

    if (!response)
        abort(); /* out of memory */
    MHD_add_response_header(response, "Content-Type", answer->content_type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; style-src 'unsafe-inline'; "
                            "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
                            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
    MHD_add_response_header(response, "Connection", "close");
    return response;
}

static struct http_answer new_answer(unsigned status)
{
    return (struct http_answer){.status = status, .content_type = "text/plain; charset=utf-8"};
}

static enum MHD_Result answer_once(struct MHD_Connection *connection, struct http_answer *answer,
                                   const char *allow)
{
    struct MHD_Response *response = make_response(answer);

    if (allow)
        MHD_add_response_header(response, "Allow", allow);
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse_method(struct MHD_Connection *connection)
{
    struct http_answer answer = new_answer(MHD_HTTP_METHOD_NOT_ALLOWED);

    buffer_append_text(&answer.body, "Only GET and HEAD: nothing can be changed here.\n");
    return answer_once(connection, &answer, "GET, HEAD");
}

static enum MHD_Result refuse_path(const struct http *http, struct MHD_Connection *connection)
{
    struct http_answer answer = new_answer(MHD_HTTP_NOT_FOUND);

    buffer_append_text(&answer.body, "There is no such page. These are there:\n");
    for (size_t i = 0; i < http->resources_count; i++)
        if (http->resources[i].summary)
            buffer_printf(&answer.body, "  %-14s %s\n", http->resources[i].path,
                          http->resources[i].summary);
    return answer_once(connection, &answer, NULL);
}

static void drop_cached(struct http_cached *cached)
{
    if (cached->response)
        MHD_destroy_response(cached->response);
    *cached = (struct http_cached){0};
}

static int64_t fresh_until(int64_t began_us, int64_t made_us)
{
    int64_t by_cost_us = (made_us - began_us) * FRESH_SHARE;

    return made_us + (by_cost_us > FRESH_US ? by_cost_us : FRESH_US);
}

static void refresh(const struct http *http, size_t index, bool verbose)
{
    struct http_cached *cached = &http->cached[index][verbose];
    struct http_answer answer = new_answer(MHD_HTTP_OK);

    int64_t now_us = clock_now_us();

    if (cached->response && now_us < cached->stale_us)
        return;
    drop_cached(cached);
    http->resources[index].fill(http->opaque, verbose, &answer);
    *cached = (struct http_cached){.response = make_response(&answer), .status = answer.status};
    cached->stale_us = fresh_until(now_us, clock_now_us());
}

/* The answer comes before a body is read: there should be none. */
/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd says what it is given */
static enum MHD_Result on_request(void *opaque, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_len, void **context)
{
    struct http *http = opaque;
    bool verbose = MHD_lookup_connection_value_n(connection, MHD_GET_ARGUMENT_KIND, "verbose",
                                                 strlen("verbose"), NULL, NULL) == MHD_YES;

    (void)version, (void)body, (void)body_len, (void)context;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse_method(connection);
    for (size_t i = 0; i < http->resources_count; i++) {
        if (strcmp(http->resources[i].path, path) == 0) {
            refresh(http, i, verbose);
            return MHD_queue_response(connection, http->cached[i][verbose].status,
                                      http->cached[i][verbose].response);
        }
    }
    return refuse_path(http, connection);
}

/* Running. */

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

static void rest(struct http *http, int64_t ran_us)
{
    int64_t rest_ms = REST_MIN_MS + ran_us * SHARE / 1000;

    uv_poll_stop(&http->poll);
    uv_timer_start(&http->timer, on_timer,
                   (uint64_t)(rest_ms < REST_MAX_MS ? rest_ms : REST_MAX_MS), 0);
}

static void run(struct http *http)
{
    int64_t began_us = clock_now_us();
    uint64_t came_before;

    http->crowded_runs -= http->crowded_runs > 0;
    drop_slow(http);
    do {
        came_before = http->came_count;
        MHD_run(http->daemon);
    } while (http->came_count - came_before >= ACCEPTED && clock_now_us() - began_us < RUN_US);
    rest(http, clock_now_us() - began_us);
}

/*
 * With all its connections taken, libmicrohttpd no longer watches the listening socket, and does so
 * again only in a run after the one that closed some: nothing would wake us for that.
 */
static void watch(struct http *http)
{
    MHD_UNSIGNED_LONG_LONG longest_ms = http->crowded_runs > 0 ? REST_MAX_MS : SWEEP_MS;
    MHD_UNSIGNED_LONG_LONG wait_ms = longest_ms;

    if (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES && wait_ms == 0) {
        run(http);
        return;
    }
    uv_poll_start(&http->poll, UV_READABLE, on_readable);
    if (http->peers_count > 0 || http->crowded_runs > 0)
        uv_timer_start(&http->timer, on_timer, wait_ms < longest_ms ? wait_ms : longest_ms, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    run(poll->data);
}

/* The rest is over, or nothing has come for a while: then it runs for the sake of the slow. */
static void on_timer(uv_timer_t *timer)
{
    struct http *http = timer->data;

    if (uv_is_active((uv_handle_t *)&http->poll))
        run(http);
    else
        watch(http);
}

/* No path of ours needs it, and %00 would end one early. */
static size_t leave_escaped(void *opaque, struct MHD_Connection *connection, char *text)
{
    (void)opaque, (void)connection;
    return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(PEER_MS / 1000), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_escaped, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
}

void http_open(struct http *http, uv_loop_t *loop, int fd, const struct http_service *service)
{
    size_t count = service->resources_count;

    *http = (struct http){
        .resources = service->resources, .resources_count = count, .opaque = service->opaque};
    TAILQ_INIT(&http->peers);
    http->cached = memory_new_array(count, sizeof(*http->cached));
    http->daemon = start_daemon(http, fd);
    assert(http->daemon); /* it has no reason to fail but memory: the socket listens already */
    uv_poll_init(loop, &http->poll,
                 MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    http->poll.data = http;
    uv_timer_init(loop, &http->timer);
    http->timer.data = http;
    watch(http);
}

/* libuv lets go of the descriptor before libmicrohttpd closes it. */
void http_close(struct http *http)
{
    uv_close((uv_handle_t *)&http->poll, NULL);
    uv_close((uv_handle_t *)&http->timer, NULL);
    MHD_stop_daemon(http->daemon);
    for (size_t i = 0; i < http->resources_count; i++) {
        drop_cached(&http->cached[i][false]);
        drop_cached(&http->cached[i][true]);
    }
}

void http_finish(struct http *http)
{
    free(http->cached);
    http->cached = NULL;
}
