/* Probes, and the list of all that can be asked. */
#include "command/monitor.h"

#include "base/clock.h"
#include "command/monitor_fill.h"
#include "ops/http_address.h"
#include "ops/log.h"

#include <unistd.h>

enum { UNAVAILABLE = 503 };

static size_t count_queues(const struct queue_list *list)
{
    const struct queue *queue;
    size_t count = 0;

    TAILQ_FOREACH (queue, list, entry)
        count++;
    return count;
}

static int64_t age_ms(int64_t since_ms)
{
    return since_ms ? clock_now_ms() - since_ms + 1 : 0;
}

struct health monitor_health(const struct monitor *monitor)
{
    return health_judge(&(struct health_facts){
        .draining = *monitor->draining,
        .member = monitor->consumer->member,
        .postgres_away_ms = age_ms(monitor->dispatcher->pool.away_since_ms),
        .partitions_count = monitor->consumer->assignment.partitions_count,
        .halted_count = count_queues(&monitor->dispatcher->queues[QUEUE_HALTED]),
    });
}

/* That it is answered says all: the loop turns. */
static void fill_livez(void *opaque, bool verbose, struct http_answer *answer)
{
    (void)opaque, (void)verbose;
    buffer_append_text(&answer->body, "ok\n");
}

static void fill_readyz(void *opaque, bool verbose, struct http_answer *answer)
{
    const struct health health = monitor_health(opaque);

    for (size_t i = 0; i < HEALTH_CHECKS; i++)
        if (verbose || !health.checks[i].ready)
            buffer_printf(&answer->body, "[%c] %-8s %s\n", health.checks[i].ready ? '+' : '-',
                          health.checks[i].name, health.checks[i].detail);
    buffer_append_text(&answer->body, health.ready ? "ready\n" : "not ready\n");
    if (!health.ready)
        answer->status = UNAVAILABLE;
}

static const struct http_resource resources[] = {
    {"/livez", fill_livez, "200 while it lives"},
    {"/readyz", fill_readyz, "200 while it can do its work, else 503; ?verbose: why"},
    {"/healthz", fill_livez, NULL},
    {"/metrics", monitor_fill_metrics, "for Prometheus"},
};

bool monitor_listen(struct monitor *monitor, const struct config *config, struct err *err)
{
    struct http_address address;

    monitor->config = config;
    monitor->fd = -1;
    if (!http_address_parse(config->http_address, &address) || address.off)
        return true;
    monitor->fd = http_address_listen(&address, err);
    if (monitor->fd < 0)
        return false;
    log_info("listening", LOG_STR("host", address.host),
             LOG_INT("port", http_address_port(monitor->fd)));
    return true;
}

void monitor_abandon(struct monitor *monitor)
{
    if (monitor->fd >= 0)
        close(monitor->fd);
    monitor->fd = -1;
}

void monitor_open(struct monitor *monitor, uv_loop_t *loop)
{
    if (monitor->fd >= 0)
        http_open(&monitor->http, loop, monitor->fd, resources, COUNT_OF(resources), monitor);
}

void monitor_close(struct monitor *monitor)
{
    if (monitor->fd >= 0)
        http_close(&monitor->http);
}

void monitor_finish(struct monitor *monitor)
{
    if (monitor->fd >= 0)
        http_finish(&monitor->http);
}
