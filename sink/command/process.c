/* libuv has one pool of threads for all, whose size is an environment variable. */
#include "command/process.h"

#include "config_postgres.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DESTROY_S = 5 };

/* libuv lets the name service have half of its threads, or the only one: a slow answer must not
 * keep batches waiting. */
static bool asks_names(void)
{
    struct config_servers servers;
    bool names = false;

    config_servers_read(&servers);
    for (size_t i = 0; i < servers.count; i++)
        names |= config_server_is_name(&servers.list[i]);
    config_servers_finish(&servers);
    return names;
}

/* libuv reads it when the first job is queued. */
int process_set_workers(const struct config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long workers = config->workers > 0 ? (long)config->workers : cores > 2 ? cores - 1 : 1;
    char text[24];

    snprintf(text, sizeof(text), "%ld", workers + asks_names());
    setenv("UV_THREADPOOL_SIZE", text, 1);
    return (int)workers;
}

static volatile sig_atomic_t alarm_exit_code;

static void on_alarm(int number)
{
    (void)number;
    _exit(alarm_exit_code);
}

void process_destroy_clients(rd_kafka_t *const *consumers, size_t count, rd_kafka_t *producer,
                             int exit_code)
{
    alarm_exit_code = exit_code;
    signal(SIGALRM, on_alarm);
    alarm(DESTROY_S);
    for (size_t i = 0; i < count; i++)
        if (consumers[i])
            rd_kafka_destroy_flags(consumers[i], RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (producer)
        rd_kafka_destroy(producer);
    alarm(0);
}
