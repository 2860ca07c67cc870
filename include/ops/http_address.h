/*
 * SINK_HTTP_ADDRESS: host:port, [::1]:port for IPv6, or off. Thread: main, before the loop.
 */
#ifndef OPS_HTTP_ADDRESS_H
#define OPS_HTTP_ADDRESS_H

#include "base/err.h"

struct http_address {
    bool off;
    char host[256]; /* a name or an address, without brackets */
    char port[6];   /* "0": a free one */
};

/* False: the text is no address. Pure. */
bool http_address_parse(const char *text, struct http_address *address) MUST_CHECK;

/*
 * A socket that listens there; its connections wait until somebody accepts them. -1 (ERR_CONFIG):
 * it can't be had, as when the port is taken.
 */
int http_address_listen(const struct http_address *address, struct err *err);

/* The port of a socket that listens. */
int http_address_port(int fd);

#endif
