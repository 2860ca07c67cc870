/*
 * values json, unknown fields stop; t into "public"."t" ("id" bigint, "sum" numeric(9,2)); u into
 *
 * Two are compared item by item: what stands between brackets of the outermost level is a list of
 * columns, and a name in quotes may hold anything.
 */
#include "backfill/description.h"

#include "base/memory.h"
#include "dispatch/route.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void describe_columns(struct buffer *text, const struct mapping *mapping)
{
    for (size_t i = 0; i < mapping->columns_count; i++) {
        const struct column *column = mapping->columns[i].column;
        buffer_printf(text, "%s%s %s", i > 0 ? ", " : "", column->quoted, column->type_name);
        if (column->typmod >= 0)
            buffer_printf(text, "[%" PRId32 "]", column->typmod);
    }
}

static bool describe_topic(struct buffer *text, const struct config *config, const char *topic,
                           PGconn *connection, struct err *err)
{
    struct route *route = route_create(config, topic);
    bool done = route_load_now(route, connection, err);

    if (done) {
        buffer_printf(text, "; %s into %s (", topic, route->mapping->table.quoted);
        describe_columns(text, route->mapping);
        buffer_append_text(text, ")");
    }
    route_destroy(route);
    return done;
}

char *description_make(const struct backfill *backfill, const struct config *config,
                       PGconn *connection, struct err *err)
{
    static const char *const unknown[] = {"ignore", "dead_letter", "stop"};
    struct buffer text = {0};
    bool done = true;

    buffer_printf(&text, "values %s, unknown fields %s",
                  config->value_format == CONFIG_VALUE_RAW ? "raw" : "json",
                  unknown[config->unknown_fields]);
    for (size_t i = 0; done && i < backfill->ranges_count; i++)
        if (i == 0 || strcmp(backfill->ranges[i].topic, backfill->ranges[i - 1].topic) != 0)
            done = describe_topic(&text, config, backfill->ranges[i].topic, connection, err);
    char *mapping = done ? memory_strdup(buffer_text(&text)) : NULL;
    buffer_finish(&text);
    return mapping;
}

/* What was added. */

/* Through the bracket that opens the next list; without one all that is left. */
static size_t head_len(const char *text)
{
    bool quoted = false;
    size_t len = 0;

    while (text[len] && (quoted || text[len] != '('))
        quoted = quoted != (text[len++] == '"');
    return len + (text[len] != '\0');
}

/* A column; 0: the list ends. A type may have brackets of its own. */
static size_t column_len(const char *text)
{
    bool quoted = false;
    int depth = 0;
    size_t len = 0;

    for (; text[len]; len++) {
        char c = text[len];
        if (!quoted && depth == 0 && (c == ',' || c == ')'))
            break;
        quoted = quoted != (c == '"');
        depth += quoted ? 0 : (c == '(') - (c == ')');
    }
    return len;
}

static const char *behind_column(const char *text)
{
    text += column_len(text);
    return *text == ',' ? text + strspn(text, ", ") : text;
}

/* Both are at a list, and afterwards behind it, unless a column of `before` is missing. */
static bool pass_columns(const char **before, const char **now)
{
    size_t len;

    while ((len = column_len(*now)) > 0) {
        if (column_len(*before) == len && memcmp(*before, *now, len) == 0)
            *before = behind_column(*before);
        *now = behind_column(*now);
    }
    return column_len(*before) == 0;
}

bool description_gained(const char *before, const char *now)
{
    for (;;) {
        size_t len = head_len(now);
        if (strncmp(before, now, len) != 0)
            return false;
        before += len;
        now += len;
        if (!*now)
            return !*before;
        if (!pass_columns(&before, &now))
            return false;
    }
}
