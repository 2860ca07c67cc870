/*
 * Server after server, in order: what has an address is taken as it is, a name goes through
 * uv_getaddrinfo, whose answer goes on with the next one.
 *
 * A request that a worker thread has begun can't be taken back: the lookup then belongs to the
 * request alone and is freed by its callback.
 */
#include "pg/resolver.h"

#include "base/memory.h"
#include "ops/log.h"

#include <assert.h>
#include <netdb.h>
#include <stdlib.h>

struct resolver_lookup {
    uv_getaddrinfo_t request;
    uv_loop_t *loop;
    struct resolver *resolver; /* borrowed; NULL: cancelled */
    resolver_done_cb on_done;
    void *opaque;
    struct config_servers wanted;
    struct config_servers found;
    size_t next;    /* of wanted */
    struct err err; /* of the last name that is not known */
};

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *answer);

static void destroy(struct resolver_lookup *lookup)
{
    config_servers_finish(&lookup->wanted);
    config_servers_finish(&lookup->found);
    free(lookup);
}

static void finish(struct resolver_lookup *lookup)
{
    bool failed = lookup->wanted.count > 0 && lookup->found.count == 0;

    lookup->resolver->lookup = NULL;
    lookup->on_done(lookup->opaque, &lookup->found, failed ? &lookup->err : NULL);
    destroy(lookup);
}

static void note_unknown(struct resolver_lookup *lookup, const char *host, int code)
{
    err_set(&lookup->err, ERR_OUTAGE, "the name of the host \"%s\" is not known: %s", host,
            uv_strerror(code));
    if (lookup->wanted.count > 1)
        log_warn("host left out", LOG_ERR(&lookup->err));
}

/* False: the answer comes later. */
static bool add_next(struct resolver_lookup *lookup)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    const struct config_server *server = &lookup->wanted.list[lookup->next];

    if (!config_server_is_name(server)) {
        config_servers_add(&lookup->found, server->host, server->address, server->port);
        return true;
    }
    int code =
        uv_getaddrinfo(lookup->loop, &lookup->request, on_answer, server->host, NULL, &hints);
    if (code == 0)
        return false;
    note_unknown(lookup, server->host, code);
    return true;
}

static void go_on(struct resolver_lookup *lookup)
{
    for (; lookup->next < lookup->wanted.count; lookup->next++)
        if (!add_next(lookup))
            return;
    finish(lookup);
}

static void add_address(struct resolver_lookup *lookup, const struct addrinfo *answer)
{
    const struct config_server *server = &lookup->wanted.list[lookup->next];
    char address[NI_MAXHOST];

    if (getnameinfo(answer->ai_addr, answer->ai_addrlen, address, sizeof(address), NULL, 0,
                    NI_NUMERICHOST) == 0)
        config_servers_add(&lookup->found, server->host, address, server->port);
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *answer)
{
    struct resolver_lookup *lookup = request->data;

    if (!lookup->resolver) {
        uv_freeaddrinfo(answer);
        destroy(lookup);
        return;
    }
    if (status != 0)
        note_unknown(lookup, lookup->wanted.list[lookup->next].host, status);
    for (const struct addrinfo *each = status == 0 ? answer : NULL; each; each = each->ai_next)
        add_address(lookup, each);
    uv_freeaddrinfo(answer);
    lookup->next++;
    go_on(lookup);
}

void resolver_start(struct resolver *resolver, uv_loop_t *loop, resolver_done_cb on_done,
                    void *opaque)
{
    assert(!resolver->lookup);
    struct resolver_lookup *lookup = memory_new(sizeof(*lookup));

    lookup->request.data = lookup;
    lookup->loop = loop;
    lookup->resolver = resolver;
    lookup->on_done = on_done;
    lookup->opaque = opaque;
    config_servers_read(&lookup->wanted);
    resolver->lookup = lookup;
    go_on(lookup);
}

bool resolver_is_busy(const struct resolver *resolver)
{
    return resolver->lookup != NULL;
}

void resolver_cancel(struct resolver *resolver)
{
    if (!resolver->lookup)
        return;
    resolver->lookup->resolver = NULL;
    uv_cancel((uv_req_t *)&resolver->lookup->request);
    resolver->lookup = NULL;
}
