/*
 * Secrets in texts that nobody called secret: a URL with user:password@host or with a secret in its
 * query, an option such as -c my.password=..., a list of hosts with logins. Thread: any.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/buffer.h"

#include <stdbool.h>

/* Does not tell how long the secret is. */
#define SECRET_MASK "********"

/* Whether a name in lower case has a word for secrets in it. */
bool secret_is_word(const char *name);

bool secret_present(const char *text);

/* Appends the value with the mask in place of each secret. */
void secret_mask(const char *value, struct buffer *out);

#endif
