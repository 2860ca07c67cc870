/*
 * Bytes of any kind that come over a connection to HTTP. Whatever they are: there is no answer, or
 * one; it is a good one only for GET and HEAD of a path that is there; and the connection is
 * closed.
 *
 * They come through one end of a socket pair, whole and then ended. libmicrohttpd is run here, and
 * not by the loop, which would rest after each run.
 */
#include "ops/http.h"
#include "ops/http_address.h"

#include <assert.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES = 64 * 1024, ANSWER_BYTES = 128 * 1024, LONG_BYTES = 40000, RUNS = 64 };

static void fill_short(void *opaque, bool verbose, struct http_answer *answer)
{
    (void)opaque;
    buffer_append_text(&answer->body, verbose ? "ok, and more\n" : "ok\n");
}

static void fill_long(void *opaque, bool verbose, struct http_answer *answer)
{
    (void)opaque, (void)verbose;
    buffer_reserve(&answer->body, LONG_BYTES);
    memset(answer->body.data, 'x', LONG_BYTES);
    answer->body.len += LONG_BYTES;
    answer->content_type = "application/json";
}

static const struct http_resource resources[] = {
    {"/livez", fill_short, "200 while it lives"},
    {"/status", fill_long, "all of it"},
};

static struct http *open_once(void)
{
    static struct http http;
    static bool open;
    struct http_address address;
    struct err err;

    if (open)
        return &http;
    open = true;
    if (!http_address_parse("127.0.0.1:0", &address))
        abort();
    int fd = http_address_listen(&address, &err);
    assert(fd >= 0);
    http_open(&http, uv_default_loop(), fd, &(struct http_service){resources, 2, NULL});
    return &http;
}

/* What is answered until the end; 0 bytes: nothing. */
static size_t converse(struct http *http, int fd, char *answer)
{
    size_t len = 0;

    for (int i = 0; i < RUNS; i++) {
        MHD_run(http->daemon);
        ssize_t count = read(fd, answer + len, ANSWER_BYTES - len);
        if (count == 0)
            return len;
        len += count > 0 ? (size_t)count : 0;
    }
    return len;
}

static void check(const char *answer, size_t len, const char *request)
{
    if (len == 0)
        return;
    assert(len > 12 && memcmp(answer, "HTTP/1.", 7) == 0);
    long status = strtol(answer + 9, NULL, 10);
    assert(status == 200 || (status >= 400 && status < 600));
    request += strspn(request, " \t\r\n"); /* it overlooks some */
    if (status == 200)
        assert(strncmp(request, "GET", 3) == 0 || strncmp(request, "HEAD", 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char answer[ANSWER_BYTES];
    static char request[INPUT_BYTES + 1];
    struct sockaddr_un nobody = {.sun_family = AF_UNIX};
    struct http *http = open_once();
    int ends[2];

    if (size > INPUT_BYTES)
        return 0;
    memcpy(request, data, size);
    request[size] = '\0';
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        abort();
    if (write(ends[0], request, size) != (ssize_t)size || shutdown(ends[0], SHUT_WR) != 0)
        abort();
    if (MHD_add_connection(http->daemon, ends[1], (struct sockaddr *)&nobody, sizeof(nobody)) !=
        MHD_YES)
        abort();
    size_t len = converse(http, ends[0], answer);
    close(ends[0]);
    for (int i = 0; i < RUNS && http->peers_count > 0; i++)
        MHD_run(http->daemon);
    assert(http->peers_count == 0);
    check(answer, len, request);
    return 0;
}
