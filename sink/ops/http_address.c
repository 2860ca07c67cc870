/* From the setting to a socket that listens. */
#include "ops/http_address.h"

#include "base/slice.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, PORT_MAX = 65535 };

static bool is_port(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= 5 && strspn(text, "0123456789") == len &&
           strtol(text, NULL, 10) <= PORT_MAX;
}

/* An IPv6 address has colons of its own, so it stands in brackets. */
static bool split(const char *text, struct slice *host, const char **port)
{
    const char *colon = strrchr(text, ':');

    if (!colon)
        return false;
    *port = colon + 1;
    *host = (struct slice){text, (size_t)(colon - text)};
    if (text[0] != '[')
        return !memchr(text, ':', host->len);
    *host = (struct slice){text + 1, host->len - 2};
    return colon > text + 2 && colon[-1] == ']';
}

bool http_address_parse(const char *text, struct http_address *address)
{
    struct slice host;
    const char *port;

    *address = (struct http_address){.off = strcmp(text, "off") == 0};
    if (address->off)
        return true;
    if (!split(text, &host, &port) || host.len == 0 || host.len >= sizeof(address->host) ||
        !is_port(port))
        return false;
    memcpy(address->host, host.data, host.len);
    snprintf(address->port, sizeof(address->port), "%s", port);
    return true;
}

static int try_listen(const struct addrinfo *candidate)
{
    static const int on = 1;
    int fd = socket(candidate->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, candidate->ai_addr, candidate->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static const char *advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "another process has the port: name another one, 0 for any free one, or off";
    case EACCES:
        return "ports below 1024 are not for everybody: name a higher one, or off";
    case EADDRNOTAVAIL:
        return "this machine does not have the address: 0.0.0.0 stands for all it has";
    default:
        return "name another address, or off";
    }
}

int http_address_listen(const struct http_address *address, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int fd = -1;

    int unknown = getaddrinfo(address->host, address->port, &hints, &found);
    if (unknown) {
        err_set(err, ERR_CONFIG, "SINK_HTTP_ADDRESS: %s: %s", address->host, gai_strerror(unknown));
        return -1;
    }
    for (const struct addrinfo *each = found; each && fd < 0; each = each->ai_next)
        fd = try_listen(each);
    if (fd < 0)
        err_set(err, ERR_CONFIG, "SINK_HTTP_ADDRESS: can't listen at %s port %s: %s; %s",
                address->host, address->port, strerror(errno), advice(errno));
    freeaddrinfo(found);
    return fd;
}

int http_address_port(int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);
    char port[NI_MAXSERV] = "0";

    getsockname(fd, (struct sockaddr *)&bound, &len);
    getnameinfo((struct sockaddr *)&bound, len, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
    return (int)strtol(port, NULL, 10);
}
