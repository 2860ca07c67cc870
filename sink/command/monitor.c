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

static const struct http_resource resources[] = {
    {"/", fill_page, "a page for people"},
    {"/livez", fill_livez, "200 while it lives"},
    {"/readyz", fill_readyz, "200 while it can do its work, else 503; ?verbose: why"},
    {"/healthz", fill_livez, NULL},
    {"/metrics", monitor_fill_metrics, "for Prometheus"},
    {"/status", monitor_fill_status, "all that one looks for first"},
    {"/lag", monitor_fill_lag, "how far each partition is behind"},
    {"/assignment", monitor_fill_assignment, "which partitions this instance has"},
    {"/distribution", monitor_fill_distribution, "how many records each partition gets"},
    {"/config", monitor_fill_config, "the settings, secrets masked"},
    {"/version", monitor_fill_version, "of the program and its libraries"},
};

/* What it has of a sink: no group, no lag, and no page, which shows both. */
static const struct http_resource backfill_resources[] = {
    {"/livez", fill_livez, "200 while it lives"},
    {"/readyz", fill_readyz, "200 while it can do its work, else 503; ?verbose: why"},
    {"/healthz", fill_livez, NULL},
    {"/metrics", monitor_fill_metrics, "for Prometheus"},
    {"/status", monitor_fill_status, "all that one looks for first"},
    {"/config", monitor_fill_config, "the settings, secrets masked"},
    {"/version", monitor_fill_version, "of the program and its libraries"},
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
    struct http_service service = {resources, COUNT_OF(resources), monitor};
    if (!monitor->consumer)
        service = (struct http_service){backfill_resources, COUNT_OF(backfill_resources), monitor};
    http_open(&monitor->http, loop, monitor->fd, &service);
    uv_timer_init(loop, &monitor->timer);
    monitor->timer.data = monitor;
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
