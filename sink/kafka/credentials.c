/* A timer that compares: most of the time nothing has changed. */
#include "kafka/credentials.h"

#include "base/memory.h"
#include "ops/log.h"

#include <stdlib.h>
#include <string.h>

static void forget(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

/* As it is now; a file that can't be read leaves what is known. */
static char *read_now(const struct config_property *property, const char *known)
{
    struct err err = {0};
    char *value = config_property_read(property, &err);

    if (err.class != ERR_NONE)
        log_warn("login of Kafka can't be read", LOG_ERR(&err));
    return value ? value : memory_strdup(known);
}

static void tell(rd_kafka_t *client, const char *user, const char *password)
{
    rd_kafka_error_t *error = client ? rd_kafka_sasl_set_credentials(client, user, password) : NULL;

    if (error)
        log_warn("login of Kafka is not taken", LOG_STR("reason", rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
}

static void on_time(uv_timer_t *timer)
{
    struct credentials *credentials = timer->data;
    char *user = read_now(credentials->user_property, credentials->user);
    char *password = read_now(credentials->password_property, credentials->password);
    bool same =
        strcmp(user, credentials->user) == 0 && strcmp(password, credentials->password) == 0;

    forget(credentials->user);
    forget(credentials->password);
    credentials->user = user;
    credentials->password = password;
    if (same)
        return;
    for (int i = 0; i < CREDENTIALS_CLIENTS; i++)
        tell(credentials->clients[i], user, password);
    log_info("login of Kafka has changed");
}

void credentials_open(struct credentials *credentials, uv_loop_t *loop, const struct config *config,
                      rd_kafka_t *client, rd_kafka_t *other)
{
    const struct config_property *user = config_property(config, "sasl.username");
    const struct config_property *password = config_property(config, "sasl.password");

    *credentials = (struct credentials){
        .clients = {client, other}, .user_property = user, .password_property = password};
    uv_timer_init(loop, &credentials->timer);
    credentials->timer.data = credentials;
    if (!user || !password || !(user->file || password->file))
        return;
    credentials->user = memory_strdup(user->value);
    credentials->password = memory_strdup(password->value);
    uv_timer_start(&credentials->timer, on_time, CREDENTIALS_READ_MS, CREDENTIALS_READ_MS);
}

void credentials_close(struct credentials *credentials)
{
    uv_timer_stop(&credentials->timer);
    uv_close((uv_handle_t *)&credentials->timer, NULL);
}

void credentials_finish(struct credentials *credentials)
{
    forget(credentials->user);
    forget(credentials->password);
    credentials->user = NULL;
    credentials->password = NULL;
}
