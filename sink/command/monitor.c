/* Probes, and the list of all that can be asked. */
#include "command/monitor.h"

#include "base/clock.h"
#include "command/monitor_json.h"
#include "ops/http_address.h"
#include "ops/log.h"
#include "ops/page.h"

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
        .alone = !monitor->consumer,
        .member = monitor->consumer && monitor->consumer->member,
        .kafka_away_ms = age_ms(*monitor->brokers_away_since_ms),
        .postgres_away_ms = age_ms(monitor->dispatcher->pool.away_since_ms),
        .partitions_count = monitor->consumer ? monitor->consumer->assignment.partitions_count
                                              : monitor->dispatcher->queues_count,
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

static void fill_page(void *opaque, bool verbose, struct http_answer *answer)
{
    (void)opaque, (void)verbose;
    answer->content_type = "text/html; charset=utf-8";
    buffer_append_text(&answer->body, page_html);
}

/* A backfill has no group, no lag, and no page, which shows both. */
enum served_by { BY_SINK, BY_BOTH };

static const struct {
    enum served_by by;
    struct http_resource resource;
} resources[MONITOR_RESOURCES] = {
    {BY_SINK, {"/", fill_page, "a page for people"}},
    {BY_BOTH, {"/livez", fill_livez, "200 while it lives"}},
    {BY_BOTH, {"/readyz", fill_readyz, "200 while it can do its work, else 503; ?verbose: why"}},
    {BY_BOTH, {"/healthz", fill_livez, NULL}},
    {BY_BOTH, {"/metrics", monitor_fill_metrics, "for Prometheus"}},
    {BY_BOTH, {"/status", monitor_fill_status, "all that one looks for first"}},
    {BY_SINK, {"/lag", monitor_fill_lag, "how far each partition is behind"}},
    {BY_SINK, {"/assignment", monitor_fill_assignment, "which partitions this instance has"}},
    {BY_SINK, {"/distribution", monitor_fill_distribution, "how many records each partition gets"}},
    {BY_BOTH, {"/config", monitor_fill_config, "the settings, secrets masked"}},
    {BY_BOTH, {"/version", monitor_fill_version, "of the program and its libraries"}},
};

static struct http_service service_of(struct monitor *monitor)
{
    struct http_service service = {.resources = monitor->resources, .opaque = monitor};

    for (size_t i = 0; i < MONITOR_RESOURCES; i++)
        if (monitor->consumer || resources[i].by == BY_BOTH)
            monitor->resources[service.resources_count++] = resources[i].resource;
    return service;
}

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

static void on_sample(uv_timer_t *timer)
{
    struct monitor *monitor = timer->data;

    history_add(&monitor->history,
                &(struct history_sample){.rows = monitor->dispatcher->totals.rows_count,
                                         .lag = monitor_lag(monitor->dispatcher)});
}

void monitor_open(struct monitor *monitor, uv_loop_t *loop)
{
    monitor->started_ms = clock_wall_ms();
    if (monitor->fd < 0)
        return;
    struct http_service service = service_of(monitor);
    http_open(&monitor->http, loop, monitor->fd, &service);
    uv_timer_init(loop, &monitor->timer);
    monitor->timer.data = monitor;
    if (monitor->consumer) /* else nothing shows them */
        uv_timer_start(&monitor->timer, on_sample, HISTORY_INTERVAL_MS, HISTORY_INTERVAL_MS);
}

void monitor_close(struct monitor *monitor)
{
    if (monitor->fd < 0)
        return;
    http_close(&monitor->http);
    uv_close((uv_handle_t *)&monitor->timer, NULL);
}

void monitor_finish(struct monitor *monitor)
{
    if (monitor->fd >= 0)
        http_finish(&monitor->http);
}
