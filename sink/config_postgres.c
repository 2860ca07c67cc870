/*
 * libpq itself is asked what it would use (PQconndefaults), so that a service file counts as it
 * does for libpq. It reads the service file before the variables: a variable that is set here loses
 * against it.
 */
#include "config_postgres.h"

#include "base/compiler.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Main's, before there are threads. */
static bool sslmode_was_set;

/* --- The list --------------------------------------------------------------------------------- */

void config_servers_add(struct config_servers *servers, const char *host, const char *address,
                        const char *port)
{
    servers->list = memory_resize(servers->list, (servers->count + 1) * sizeof(*servers->list));
    servers->list[servers->count++] = (struct config_server){
        .host = memory_strdup(host),
        .address = memory_strdup(address),
        .port = memory_strdup(port),
    };
}

void config_servers_finish(struct config_servers *servers)
{
    for (size_t i = 0; i < servers->count; i++) {
        free(servers->list[i].host);
        free(servers->list[i].address);
        free(servers->list[i].port);
    }
    free(servers->list);
    *servers = (struct config_servers){0};
}

/* What libpq would use; empty: nothing. */
static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *option = options; option && option->keyword; option++)
        if (strcmp(option->keyword, keyword) == 0 && option->val)
            return option->val;
    return "";
}

static size_t count_items(const char *list)
{
    size_t count = *list != '\0';

    for (const char *comma = strchr(list, ','); comma; comma = strchr(comma + 1, ','))
        count++;
    return count;
}

/* The next item, without a comma; an empty one when there are no more. */
static char *take_item(const char **rest)
{
    size_t len = strcspn(*rest, ",");
    char *item = memory_strndup(*rest, len);

    *rest += len + ((*rest)[len] == ',');
    return item;
}

/* As many of each, but one port is for all of them. */
static void read_lists(struct config_servers *servers, const char *hosts, const char *addresses,
                       const char *ports)
{
    size_t count = count_items(*addresses ? addresses : hosts);
    bool one_port = count_items(ports) <= 1;

    if ((*hosts && count_items(hosts) != count) || (!one_port && count_items(ports) != count))
        return;
    while (count-- > 0) {
        char *host = take_item(&hosts);
        char *address = take_item(&addresses);
        char *port = one_port ? memory_strdup(ports) : take_item(&ports);
        config_servers_add(servers, host, address, port);
        free(host);
        free(address);
        free(port);
    }
}

void config_servers_read(struct config_servers *servers)
{
    PQconninfoOption *options = PQconndefaults();

    *servers = (struct config_servers){0};
    read_lists(servers, value_of(options, "host"), value_of(options, "hostaddr"),
               value_of(options, "port"));
    PQconninfoFree(options);
}

/* --- What a server is ------------------------------------------------------------------------- */

static bool is_socket(const char *host)
{
    return host[0] == '\0' || host[0] == '/' || host[0] == '@';
}

static bool is_number(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, address) == 1 || strchr(host, ':') != NULL;
}

bool config_server_is_name(const struct config_server *server)
{
    return !server->address[0] && !is_socket(server->host) && !is_number(server->host);
}

static bool is_loopback(const char *text)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, text, address) == 1)
        return address[0] == 127;
    if (inet_pton(AF_INET6, text, address) != 1)
        return false;
    return memcmp(address, &in6addr_loopback, sizeof(address)) == 0 ||
           (memcmp(address, mapped, sizeof(mapped)) == 0 && address[12] == 127);
}

/* RFC 6761: localhost and what ends with .localhost. */
static bool is_localhost(const char *host)
{
    static const char word[] = "localhost";
    size_t len = strlen(host);
    size_t before = len - strlen(word);

    return len >= strlen(word) && strcasecmp(host + before, word) == 0 &&
           (before == 0 || host[before - 1] == '.');
}

/* A tunnel has a loopback address, but its host's name is that of the far end. */
bool config_server_is_local(const struct config_server *server)
{
    return (!server->address[0] || is_loopback(server->address)) &&
           (is_socket(server->host) || is_loopback(server->host) || is_localhost(server->host));
}

/* --- Settling --------------------------------------------------------------------------------- */

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);

    return value && value[0];
}

static bool all_are_local(void)
{
    struct config_servers servers;
    bool local = true;

    config_servers_read(&servers);
    for (size_t i = 0; i < servers.count; i++)
        local = local && config_server_is_local(&servers.list[i]);
    config_servers_finish(&servers);
    return local;
}

void config_postgres_settle(void)
{
    if (!is_set("PGTARGETSESSIONATTRS"))
        setenv("PGTARGETSESSIONATTRS", "read-write", 1);
    /* PGREQUIRESSL is what PGSSLMODE=require was once called. */
    sslmode_was_set = !is_set("PGSSLMODE") && !is_set("PGREQUIRESSL") && !all_are_local();
    if (sslmode_was_set)
        setenv("PGSSLMODE", "verify-full", 1);
}

bool config_postgres_set_sslmode(void)
{
    return sslmode_was_set;
}
