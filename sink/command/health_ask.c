/*
 * One request, one answer: HTTP 1.0, so the end of the connection is the end of the answer. There
 * is one deadline for all of it, however many addresses a name has and however slowly bytes come;
 * only the resolver, which can't be told, has times of its own. An instance that listens at 0.0.0.0
 * is reached there: to Linux that is this host.
 */
#include "command/health_ask.h"

#include "base/clock.h"
#include "base/slice.h"
#include "command/output.h"
#include "ops/http_address.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, ANSWER_BYTES_MAX = 64 * 1024 };

const struct argument health_arguments[] = {
    {"ADDRESS", ARGUMENT_WORD, offsetof(struct health_options, address),
     .doc = "Where it serves HTTP, host:port; SINK_HTTP_ADDRESS unless it is said."},
    {"--live", ARGUMENT_FLAG, offsetof(struct health_options, live),
     .doc = "Whether its loop turns (/livez), not whether it can do its work (/readyz)."},
    {0},
};

/* The next call on the socket ends by then. False (errno): it is late already. */
static bool limit(int fd, int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - clock_now_ms();
    struct timeval left = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};

    errno = ETIMEDOUT;
    if (left_ms <= 0) /* 0 would be for ever */
        return false;
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left)) == 0 && /* connect, too */
           setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &left, sizeof(left)) == 0;
}

static int try_connect(const struct addrinfo *candidate, int64_t deadline_ms)
{
    int fd = socket(candidate->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (limit(fd, deadline_ms) && connect(fd, candidate->ai_addr, candidate->ai_addrlen) == 0)
        return fd;
    int error = errno == EINPROGRESS ? ETIMEDOUT : errno;
    close(fd);
    errno = error;
    return -1;
}

/* -1: nobody is there; why has been said. */
static int connect_to(const struct http_address *address, int64_t deadline_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int fd = -1;

    int unknown = getaddrinfo(address->host, address->port, &hints, &found);
    for (const struct addrinfo *each = found; !unknown && each && fd < 0; each = each->ai_next)
        fd = try_connect(each, deadline_ms);
    if (fd < 0)
        fprintf(stderr, "pgsluice: nobody answers at %s port %s: %s\n", address->host,
                address->port, unknown ? gai_strerror(unknown) : strerror(errno));
    if (!unknown)
        freeaddrinfo(found);
    return fd;
}

static bool send_request(int fd, const struct http_address *address, const char *path,
                         int64_t deadline_ms)
{
    struct buffer request = {0};

    buffer_printf(&request, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, address->host);
    bool sent =
        limit(fd, deadline_ms) && send(fd, request.data, request.len, 0) == (ssize_t)request.len;
    buffer_finish(&request);
    return sent;
}

static bool read_answer(int fd, struct buffer *answer, int64_t deadline_ms)
{
    while (answer->len < ANSWER_BYTES_MAX) {
        if (!limit(fd, deadline_ms))
            return false;
        buffer_reserve(answer, 4096);
        ssize_t len = recv(fd, answer->data + answer->len, 4096, 0);
        if (len <= 0)
            return len == 0;
        answer->len += (size_t)len;
    }
    return true;
}

/* "HTTP/1.1 200 OK ..." */
static int judge(struct buffer *answer, struct buffer *body)
{
    const char *text = buffer_text(answer);
    const char *status = strchr(text, ' ');
    const char *end_of_head = strstr(text, "\r\n\r\n");

    if (strncmp(text, "HTTP/", 5) != 0 || !status || !end_of_head)
        return EXIT_UNREACHABLE;
    buffer_append_text(body, end_of_head + 4);
    return strncmp(status, " 200 ", 5) == 0 ? EXIT_DONE : EXIT_TEMPORARY;
}

static int ask(const struct http_address *address, const char *path)
{
    struct buffer answer = {0};
    struct buffer body = {0};
    int code = EXIT_UNREACHABLE;
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    int fd = connect_to(address, deadline_ms);

    if (fd < 0)
        return EXIT_UNREACHABLE;
    if (send_request(fd, address, path, deadline_ms) && read_answer(fd, &answer, deadline_ms))
        code = judge(&answer, &body);
    close(fd);
    if (code == EXIT_UNREACHABLE)
        fprintf(stderr, "pgsluice: %s port %s gives no answer\n", address->host, address->port);
    else if (output_write(&body) != EXIT_DONE)
        code = EXIT_INTERNAL;
    buffer_finish(&answer);
    buffer_finish(&body);
    return code;
}

int command_health(const struct config *config, const void *health_options)
{
    const struct health_options *options = health_options;
    const char *where = options->address ? options->address : config->http_address;
    struct http_address address;

    if (!http_address_parse(where, &address) || address.off || strcmp(address.port, "0") == 0) {
        fprintf(stderr, "pgsluice: there is nobody to ask at \"%s\": name host:port\n", where);
        return EXIT_CONFIG;
    }
    return ask(&address, options->live ? "/livez" : "/readyz?verbose");
}
