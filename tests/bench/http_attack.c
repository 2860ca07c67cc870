/*
 * http_attack: who disturbs a sink by asking, and how long its probe takes meanwhile.
 *
 *   http_attack PORT FLOOD SLOW PROBE_MS
 *
 * FLOOD clients ask for /status again and again, each on a connection of its own, as fast as they
 * are answered. SLOW clients begin a request and send a byte of it each second; who is dropped
 * comes back. Every PROBE_MS a client asks for /livez (0: none does). When stdin ends, so does
 * this, with a line of JSON; times are in milliseconds, from the connect to the answer:
 *
 *   {"answered":9000,"dropped":800,"probes":95,"median":1.2,"p99":3.1,"most":4.0}
 *
 * Thread: main.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { PROBES_MAX = 100000, CLIENTS_MAX = 4096, TRICKLE_MS = 1000, AGAIN_MS = 20 };

enum kind { FLOOD, SLOW, PROBE };

static const char *const requests[] = {
    [FLOOD] = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n",
    [SLOW] = "GET /status HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    [PROBE] = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
};

struct client {
    enum kind kind;
    uv_tcp_t tcp;
    uv_timer_t timer; /* of all but probes: the next byte, or the next attempt */
    uv_connect_t connect;
    uint64_t began_ns;
    bool answered;
};

static struct {
    struct sockaddr_in address;
    uint64_t answered;
    uint64_t dropped;
    double probes_ms[PROBES_MAX];
    size_t probes_count;
} attack;

static void open_client(struct client *client);

static void on_again(uv_timer_t *timer)
{
    open_client(timer->data);
}

static void on_close(uv_handle_t *handle)
{
    struct client *client = handle->data;

    attack.dropped += client->kind != PROBE && !client->answered;
    if (client->kind == PROBE)
        free(client);
    else if (client->answered)
        open_client(client);
    else
        uv_timer_start(&client->timer, on_again, AGAIN_MS, 0);
}

static void leave(struct client *client)
{
    if (client->kind != PROBE)
        uv_timer_stop(&client->timer);
    if (!uv_is_closing((uv_handle_t *)&client->tcp))
        uv_close((uv_handle_t *)&client->tcp, on_close);
}

static void note_answer(struct client *client)
{
    if (client->answered)
        return;
    client->answered = true;
    if (client->kind == PROBE && attack.probes_count < PROBES_MAX)
        attack.probes_ms[attack.probes_count++] = (double)(uv_hrtime() - client->began_ns) / 1e6;
    attack.answered += client->kind == FLOOD;
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    static char bytes[65536]; /* nobody looks into it */

    (void)handle, (void)wanted;
    *buf = uv_buf_init(bytes, sizeof(bytes));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    (void)buf;
    if (count > 0)
        note_answer(stream->data);
    else if (count < 0)
        leave(stream->data);
}

static void send_bytes(struct client *client, const char *bytes)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)strlen(bytes));

    if (uv_try_write((uv_stream_t *)&client->tcp, &buf, 1) < 0)
        leave(client);
}

static void on_trickle(uv_timer_t *timer)
{
    send_bytes(timer->data, "a");
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct client *client = connect->data;

    if (status < 0) {
        leave(client);
        return;
    }
    uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read);
    send_bytes(client, requests[client->kind]);
    if (client->kind == SLOW)
        uv_timer_start(&client->timer, on_trickle, TRICKLE_MS, TRICKLE_MS);
}

static void open_client(struct client *client)
{
    client->answered = false;
    client->began_ns = uv_hrtime();
    uv_tcp_init(uv_default_loop(), &client->tcp);
    client->tcp.data = client;
    client->connect.data = client;
    if (uv_tcp_connect(&client->connect, &client->tcp, (struct sockaddr *)&attack.address,
                       on_connected) < 0)
        leave(client);
}

static void add_clients(enum kind kind, long count)
{
    for (long i = 0; i < count && i < CLIENTS_MAX; i++) {
        struct client *client = calloc(1, sizeof(*client));
        client->kind = kind;
        uv_timer_init(uv_default_loop(), &client->timer);
        client->timer.data = client;
        open_client(client);
    }
}

static void on_probe(uv_timer_t *timer)
{
    struct client *client = calloc(1, sizeof(*client));

    (void)timer;
    client->kind = PROBE;
    open_client(client);
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return (difference > 0) - (difference < 0);
}

static double part_of(double part)
{
    size_t count = attack.probes_count;

    return count ? attack.probes_ms[(size_t)(part * (double)(count - 1) + 0.5)] : 0;
}

static void on_end(uv_poll_t *poll, int status, int events)
{
    (void)poll, (void)status, (void)events;
    qsort(attack.probes_ms, attack.probes_count, sizeof(double), compare);
    printf("{\"answered\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"probes\":%zu,\"median\":%.3f,"
           "\"p99\":%.3f,\"most\":%.3f}\n",
           attack.answered, attack.dropped, attack.probes_count, part_of(0.5), part_of(0.99),
           part_of(1));
    exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    uv_timer_t probe;
    uv_poll_t input;

    if (argc != 5) {
        fputs("usage: http_attack PORT FLOOD SLOW PROBE_MS\n", stderr);
        return 64;
    }
    uv_ip4_addr("127.0.0.1", (int)strtol(argv[1], NULL, 10), &attack.address);
    add_clients(FLOOD, strtol(argv[2], NULL, 10));
    add_clients(SLOW, strtol(argv[3], NULL, 10));
    uint64_t probe_ms = strtoull(argv[4], NULL, 10);
    uv_timer_init(uv_default_loop(), &probe);
    if (probe_ms > 0)
        uv_timer_start(&probe, on_probe, 0, probe_ms);
    uv_poll_init(uv_default_loop(), &input, STDIN_FILENO);
    uv_poll_start(&input, UV_READABLE, on_end);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
