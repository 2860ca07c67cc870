/*
 * Names of servers to addresses, without holding up the loop: libpq would ask the name service
 * itself, and wait. Each attempt to connect asks anew, since a failover may be a change of names.
 * Thread: loop.
 */
#ifndef PG_RESOLVER_H
#define PG_RESOLVER_H

#include "base/err.h"
#include "config_postgres.h"

#include <uv.h>

/*
 * The servers, with one for each address of each name, borrowed for the call; none: nothing is set.
 * A name that is not known is left out; err (ERR_OUTAGE) instead of NULL: that left none.
 */
typedef void (*resolver_done_cb)(void *opaque, const struct config_servers *servers,
                                 const struct err *err);

struct resolver {
    struct resolver_lookup *lookup; /* private; NULL: nothing is under way */
};

/* One at a time. on_done is called once, perhaps before this returns: without a name, always. */
void resolver_start(struct resolver *resolver, uv_loop_t *loop, resolver_done_cb on_done,
                    void *opaque);

bool resolver_is_busy(const struct resolver *resolver);

/* on_done will not be called. What the name service is asked is let go when it has answered. */
void resolver_cancel(struct resolver *resolver);

#endif
