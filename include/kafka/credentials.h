/*
 * The login at Kafka, when KAFKA_SASL_USERNAME_FILE or KAFKA_SASL_PASSWORD_FILE name it: the files
 * are read anew every few seconds, so it can rotate. librdkafka uses it for the connections that it
 * makes from then on. Thread: loop.
 */
#ifndef KAFKA_CREDENTIALS_H
#define KAFKA_CREDENTIALS_H

#include "config.h"

#include <librdkafka/rdkafka.h>
#include <uv.h>

enum { CREDENTIALS_CLIENTS = 2, CREDENTIALS_READ_MS = 2000 };

struct credentials {
    /* private: */
    uv_timer_t timer;
    rd_kafka_t *clients[CREDENTIALS_CLIENTS];    /* borrowed; NULL: none */
    const struct config_property *user_property; /* borrowed */
    const struct config_property *password_property;
    char *user; /* as the clients know them */
    char *password;
};

/* Without such files it does nothing. One of the clients may be NULL. */
void credentials_open(struct credentials *credentials, uv_loop_t *loop, const struct config *config,
                      rd_kafka_t *client, rd_kafka_t *other);

/* Before the clients are destroyed; credentials_finish after the loop has run. */
void credentials_close(struct credentials *credentials);
void credentials_finish(struct credentials *credentials);

#endif
