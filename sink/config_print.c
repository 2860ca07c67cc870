/*
 * The settings for people: what is in effect (secrets masked), the groups of --help, the
 * tables of docs/settings.md. All three walk the table of options; nothing here knows an option by
 * name.
 */
#include "config_internal.h"

#include "base/memory.h"
#include "base/secret.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum {
    NAME_WIDTH = 29,
    LINE_WIDTH = 100,
};

static const char *const group_titles[GROUP_COUNT] = {
    [GROUP_KAFKA] = "Kafka",
    [GROUP_TARGET] = "PostgreSQL and tables",
    [GROUP_BATCHING] = "Batches and connections",
    [GROUP_DELIVERY] = "Delivery",
    [GROUP_LOGGING] = "Health, metrics and logs",
};

/* --- In effect -------------------------------------------------------------------------------- */

/* One line each, whatever is in the value; what looks like a secret in it is masked. */
static void print_setting(struct buffer *out, const char *name, const char *text)
{
    struct buffer masked = {0};

    secret_mask(text, &masked);
    buffer_printf(out, "%s=", name);
    const char *value = buffer_text(&masked);
    for (; *value; value++) {
        if ((unsigned char)*value < ' ' || *value == 0x7f)
            buffer_printf(out, "\\x%02x", (unsigned char)*value);
        else
            buffer_append(out, value, 1);
    }
    buffer_append_text(out, "\n");
    buffer_finish(&masked);
}

static void print_options(const struct config *config, struct buffer *out)
{
    struct buffer value = {0};

    for (size_t i = 0; i < config_options_count; i++) {
        const struct option *option = &config_options[i];

        if (option->type == OPTION_PROPERTY || option->type == OPTION_NOTE)
            continue;
        buffer_reset(&value);
        config_option_print(option, config, &value);
        print_setting(out, option->name, buffer_text(&value));
    }
    buffer_finish(&value);
}

/* What libpq makes of its variables, service file and defaults; "*" marks what it shows to nobody.
 */
static void print_libpq(struct buffer *out)
{
    PQconninfoOption *options = PQconndefaults();

    for (const PQconninfoOption *option = options; option && option->keyword; option++) {
        if (!option->envvar || !option->val || !option->val[0])
            continue;
        print_setting(out, option->envvar, option->dispchar[0] == '*' ? SECRET_MASK : option->val);
    }
    PQconninfoFree(options);
    const char *password_file = getenv("PGPASSWORD_FILE");
    if (password_file && password_file[0])
        print_setting(out, "PGPASSWORD_FILE", password_file);
}

void config_print(const struct config *config, struct buffer *out)
{
    print_options(config, out);
    for (size_t i = 0; i < config->properties_count; i++) {
        const struct config_property *property = &config->properties[i];

        print_setting(out, property->variable, property->secret ? SECRET_MASK : property->value);
    }
    print_libpq(out);
}

/* --- What a value can be ---------------------------------------------------------------------- */

static void print_choices(const struct option *option, const char *between, struct buffer *out)
{
    for (const char *const *choice = option->choices; *choice; choice++)
        buffer_printf(out, "%s%s", choice == option->choices ? "" : between, *choice);
}

static void print_number(const struct option *option, int64_t number, struct buffer *out)
{
    if (option->type == OPTION_BYTES)
        config_print_bytes(number, out);
    else
        buffer_printf(out, "%lld", (long long)number);
}

/* "on, off", "1 to 64", or nothing where any text goes. */
static void print_values(const struct option *option, struct buffer *out)
{
    if (option->choices) {
        print_choices(option, ", ", out);
    } else if (option->max) {
        print_number(option, option->min, out);
        buffer_append_text(out, " to ");
        print_number(option, option->max, out);
    }
}

/* --- --help ----------------------------------------------------------------------------------- */

static size_t next_line(struct buffer *out)
{
    buffer_printf(out, "\n%*s", NAME_WIDTH, "");
    return NAME_WIDTH;
}

/* Words in lines of LINE_WIDTH below the name's column; returns the column behind the last one. */
static size_t print_words(const char *text, size_t column, struct buffer *out)
{
    while (*text) {
        size_t len = strcspn(text, " ");
        bool first = column == NAME_WIDTH;

        if (!first && column + 1 + len > LINE_WIDTH) {
            column = next_line(out);
            first = true;
        }
        buffer_append(out, first ? "" : " ", !first);
        buffer_append(out, text, len);
        column += len + !first;
        text += len + (text[len] == ' ');
    }
    return column;
}

static void describe_values(const struct option *option, struct buffer *out)
{
    const char *fallback = option->fallback ? option->fallback : option->fallback_words;

    if (!option->choices && !option->max && !fallback)
        return;
    buffer_append_text(out, "[");
    print_values(option, out);
    if (fallback)
        buffer_printf(out, "%sdefault: %s", out->len > 1 ? "; " : "", fallback);
    buffer_append_text(out, "]");
}

/* The values stay together where a line has room for them. */
static void help_option(const struct option *option, struct buffer *out)
{
    struct buffer values = {0};

    buffer_printf(out, "  %-*s", NAME_WIDTH - 2, option->name);
    size_t column = print_words(option->doc, NAME_WIDTH, out);
    if (option->required)
        column = print_words("Required.", column, out);
    describe_values(option, &values);
    if (column + 1 + values.len > LINE_WIDTH)
        column = next_line(out);
    print_words(buffer_text(&values), column, out);
    buffer_append_text(out, "\n");
    buffer_finish(&values);
}

static void help_group(enum option_group group, struct buffer *out)
{
    buffer_printf(out, "\n%s:\n", group_titles[group]);
    for (size_t i = 0; i < config_options_count; i++) {
        if (config_options[i].group == group)
            help_option(&config_options[i], out);
    }
}

void config_help(struct buffer *out)
{
    for (int group = 0; group < GROUP_COUNT; group++)
        help_group((enum option_group)group, out);
}

/* --- docs/settings.md ------------------------------------------------------------------------- */

static void markdown_row(const struct option *option, struct buffer *out)
{
    struct buffer values = {0};

    print_values(option, &values);
    buffer_printf(out, "| `%s` | ", option->name);
    if (option->required)
        buffer_append_text(out, "required");
    else if (option->fallback)
        buffer_printf(out, "`%s`", option->fallback);
    else if (option->fallback_words)
        buffer_append_text(out, option->fallback_words);
    buffer_printf(out, " | %s | %s |\n", buffer_text(&values), option->doc);
    buffer_finish(&values);
}

void config_markdown(struct buffer *out)
{
    for (int group = 0; group < GROUP_COUNT; group++) {
        buffer_printf(out,
                      "%s**%s**\n\n| setting | default | values | meaning |\n|---|---|---|---|\n",
                      group ? "\n" : "", group_titles[group]);
        for (size_t i = 0; i < config_options_count; i++) {
            if (config_options[i].group == (enum option_group)group)
                markdown_row(&config_options[i], out);
        }
    }
}
