/*
 * Where PostgreSQL is, as libpq's own variables, service file and defaults say, and the two of them
 * that a sink wants otherwise than libpq. Thread: main before the loop, then the loop.
 */
#ifndef CONFIG_POSTGRES_H
#define CONFIG_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>

/* One of the servers to try. The texts are owned and never NULL. */
struct config_server {
    char *host;    /* a name, an address or a socket's folder; empty: libpq's default socket */
    char *address; /* numeric; empty: the host says it all, or has to be looked up */
    char *port;    /* empty: libpq's default */
};

/* In the order in which they are tried. Zeroed: none. */
struct config_servers {
    struct config_server *list;
    size_t count;
};

/*
 * PGHOST, PGHOSTADDR and PGPORT, each a list, or the service file's. None: nothing is set, or the
 * lists have different lengths, which libpq refuses with its own words.
 */
void config_servers_read(struct config_servers *servers);
void config_servers_add(struct config_servers *servers, const char *host, const char *address,
                        const char *port);
void config_servers_finish(struct config_servers *servers);

/* Whether only a name service knows the address. */
bool config_server_is_name(const struct config_server *server);

/* Whether it can only be this machine: a socket, a loopback address, localhost. */
bool config_server_is_local(const struct config_server *server);

/*
 * Sets, unless they or the service file say something:
 * - PGTARGETSESSIONATTRS=read-write, since a sink can do nothing on a standby: of several hosts the
 *   primary is found, and a lone standby is an outage
 * - PGSSLMODE=verify-full, when a host is not local: less would hand password and rows to whoever
 *   answers
 * Before the first thread, since it changes the environment.
 */
void config_postgres_settle(void);

/* Whether PGSSLMODE was set here and not by the user. */
bool config_postgres_set_sslmode(void);

#endif
