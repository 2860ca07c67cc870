/*
 * From the environment to struct config: each option of the table is looked up, the KAFKA_
 * variables become properties, what fits alone is checked together, and only then is somebody told,
 * once, about everything. Nothing here stops at the first fault, and nothing prints a value that
 * may be a secret.
 *
 * An empty variable counts as one that is not set: that is what templates leave behind.
 */
#include "config_internal.h"

#include "base/memory.h"
#include "base/printable.h"
#include "base/suggest.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_BYTES = 1 << 20 }; /* more than any secret or certificate chain */

/* --- The reader ------------------------------------------------------------------------------- */

void config_problem(struct config_reader *reader, const char *variable, const char *format, ...)
{
    char line[1024];
    va_list args;
    int len = snprintf(line, sizeof(line), "%.200s: ", variable);

    va_start(args, format);
    vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
    va_end(args);
    printable_make(line);
    buffer_printf(reader->problems, "%s\n", line);
}

const char *config_variable(const struct config_reader *reader, const char *name)
{
    size_t len = strlen(name);

    for (char *const *entry = reader->environment; *entry; entry++) {
        if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=')
            return (*entry)[len + 1] ? *entry + len + 1 : NULL;
    }
    return NULL;
}

char *config_entry_name(const char *entry, const char *prefix)
{
    if (strncmp(entry, prefix, strlen(prefix)) != 0)
        return NULL;
    return memory_strndup(entry, strcspn(entry, "="));
}

char *config_trim(char *text)
{
    text += strspn(text, " \t\n");
    for (size_t len = strlen(text); len && strchr(" \t\n", text[len - 1]); len--)
        text[len - 1] = '\0';
    return text;
}

bool config_ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);

    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

bool config_is_service_link(const char *name, const char *value)
{
    regex_t pattern;

    if (strstr(name, "_PORT") && strstr(value, "://"))
        return true;
    if (regcomp(
            &pattern,
            "_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))$",
            REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool matches = regexec(&pattern, name, 0, NULL, 0) == 0;
    regfree(&pattern);
    return matches;
}

static bool read_whole(FILE *file, struct buffer *out)
{
    while (out->len <= FILE_BYTES) {
        buffer_reserve(out, 4096);
        size_t len = fread(out->data + out->len, 1, 4096, file);
        if (len == 0)
            break;
        out->len += len;
    }
    return !ferror(file);
}

static char *text_of(struct buffer *content, struct err *err)
{
    if (content->len > FILE_BYTES) {
        err_set(err, ERR_CONFIG, "the file is larger than 1 MiB");
        return NULL;
    }
    if (content->len && content->data[content->len - 1] == '\n')
        content->len--;
    if (content->len && content->data[content->len - 1] == '\r')
        content->len--;
    if (content->len == 0)
        err_set(err, ERR_CONFIG, "the file is empty");
    else if (memchr(content->data, '\0', content->len))
        err_set(err, ERR_CONFIG, "the file has a NUL byte, so it is no text");
    else
        return memory_strndup(content->data, content->len);
    return NULL;
}

char *config_read_file(const char *path, struct err *err)
{
    struct buffer content = {0};
    char *text = NULL;
    FILE *file = fopen(path, "re");

    if (!file) {
        err_set(err, ERR_CONFIG, "the file can not be opened: %s", strerror(errno));
        return NULL;
    }
    if (read_whole(file, &content))
        text = text_of(&content, err);
    else
        err_set(err, ERR_CONFIG, "the file can not be read: %s", strerror(errno));
    fclose(file);
    if (content.data)
        explicit_bzero(content.data, content.cap);
    buffer_finish(&content);
    return text;
}

static char *read_from_file(struct config_reader *reader, const char *variable, const char *path)
{
    struct err err;
    char *text = config_read_file(path, &err);

    if (!text)
        config_problem(reader, variable, "%s; name a file that this user can read", err.text);
    return text;
}

char *config_read(struct config_reader *reader, const char *name)
{
    char *file_name = memory_printf("%s_FILE", name);
    const char *value = config_variable(reader, name);
    const char *path = config_variable(reader, file_name);
    char *text = NULL;

    if (value && path)
        config_problem(reader, name, "is set together with %s; set one of the two", file_name);
    else if (path)
        text = read_from_file(reader, file_name, path);
    else if (value)
        text = memory_strdup(value);
    free(file_name);
    return text;
}

static bool is_given(const struct config_reader *reader, const char *name)
{
    char *file_name = memory_printf("%s_FILE", name);
    bool given = config_variable(reader, name) || config_variable(reader, file_name);

    free(file_name);
    return given;
}

void config_require(struct config_reader *reader, const struct option *option)
{
    if (!reader->postgres_only && !is_given(reader, option->name))
        config_problem(reader, option->name, "is required. %s", option->doc);
}

/* --- SINK_ ------------------------------------------------------------------------------------ */

static void load_option(struct config_reader *reader, const struct option *option)
{
    struct buffer problem = {0};
    char *value = config_read(reader, option->name);

    if (!value && option->required)
        config_require(reader, option);
    if (!value && option->fallback)
        value = memory_strdup(option->fallback);
    if (value && !config_option_set(option, reader->config, value, &problem))
        config_problem(reader, option->name, "%s", buffer_text(&problem));
    free(value);
    buffer_finish(&problem);
}

static bool has_field(const struct option *option)
{
    return option->type != OPTION_PROPERTY && option->type != OPTION_NOTE;
}

static void load_options(struct config_reader *reader)
{
    for (size_t i = 0; i < config_options_count; i++) {
        if (has_field(&config_options[i]))
            load_option(reader, &config_options[i]);
    }
}

/* SINK_X_FILE is asked about as SINK_X: the suggestion then ends with _FILE too. */
static bool is_file_variant(const char *name)
{
    return config_ends_with(name, "_FILE");
}

static char *suggest(const char *typed)
{
    struct suggestion best = {0};

    for (size_t i = 0; i < config_options_count; i++) {
        if (has_field(&config_options[i]))
            suggest_consider(&best, typed + strlen("SINK_"),
                             config_options[i].name + strlen("SINK_"));
    }
    if (best.word)
        return memory_printf("SINK_%s", best.word);
    return config_kafka_suggest(typed);
}

static void report_unknown(struct config_reader *reader, const char *name, const char *typed)
{
    char *suggestion = suggest(typed);

    if (suggestion)
        config_problem(reader, name, "is not a setting; did you mean %s%s?", suggestion,
                       strcmp(name, typed) == 0 ? "" : "_FILE");
    else
        config_problem(reader, name, "is not a setting; see pgsluice --help for those there are");
    free(suggestion);
}

/* Empty ones count as not set, whatever their name. */
static void check_name_known(struct config_reader *reader, const char *name)
{
    const char *value = config_variable(reader, name);
    char *typed = memory_strndup(name, strlen(name) - (is_file_variant(name) ? 5 : 0));

    if (value && !config_option_find(typed) && !config_is_service_link(name, value))
        report_unknown(reader, name, typed);
    free(typed);
}

static void find_unknown(struct config_reader *reader)
{
    for (char *const *entry = reader->environment; *entry; entry++) {
        char *name = config_entry_name(*entry, "SINK_");

        if (name)
            check_name_known(reader, name);
        free(name);
    }
}

/* --- Loading ---------------------------------------------------------------------------------- */

static char *host_name(void)
{
    char name[256] = "";

    if (gethostname(name, sizeof(name) - 1) != 0 || !name[0])
        return memory_strdup("pgsluice");
    return memory_strdup(name);
}

/* Here alone is SINK_TOPICS taken apart. */
static void list_topics(struct config *config)
{
    if (!config->topics || config->topics[0] == '^')
        return;
    char *copy = memory_strdup(config->topics);
    char *rest = copy;
    config->topic_names = memory_new_array(strlen(copy) + 1, sizeof(*config->topic_names));
    for (char *name = strsep(&rest, ","); name; name = strsep(&rest, ","))
        config->topic_names[config->topic_names_count++] = memory_strdup(config_trim(name));
    free(copy);
}

/* The defaults that depend on something. */
static void work_out_defaults(struct config_reader *reader)
{
    struct config *config = reader->config;

    config->group_id = config_kafka_value(config, "group.id");
    if (!config->name && config->group_id)
        config->name = memory_strdup(config->group_id);
    if (!config->name && reader->postgres_only)
        config->name = memory_strdup("pgsluice");
    if (!config->instance_id)
        config->instance_id = host_name();
    if (!is_given(reader, "SINK_SYNCHRONOUS_COMMIT"))
        config->synchronous_commit = config->delivery != CONFIG_EXACTLY_ONCE;
}

/* It is read again at each connect; here it only has to be there. */
static void check_password(struct config_reader *reader)
{
    char *password = config_read(reader, "PGPASSWORD");

    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
}

static bool load(struct config_reader *reader)
{
    size_t before = reader->problems->len;

    *reader->config = (struct config){.synchronous_commit = true};
    config_kafka_load(reader);
    load_options(reader);
    list_topics(reader->config);
    find_unknown(reader);
    check_password(reader);
    work_out_defaults(reader);
    config_check(reader);
    return reader->problems->len == before;
}

bool config_load(struct config *config, char *const *environment, struct buffer *problems)
{
    return load(&(struct config_reader){config, environment, problems, false});
}

bool config_load_postgres(struct config *config, char *const *environment, struct buffer *problems)
{
    return load(&(struct config_reader){config, environment, problems, true});
}

static void property_finish(struct config_property *property)
{
    if (property->secret)
        explicit_bzero(property->value, strlen(property->value));
    free(property->name);
    free(property->value);
    free(property->variable);
    free(property->file);
}

void config_finish(struct config *config)
{
    for (size_t i = 0; i < config->topic_names_count; i++)
        free(config->topic_names[i]);
    free(config->topic_names);
    for (size_t i = 0; i < config->properties_count; i++)
        property_finish(&config->properties[i]);
    free(config->properties);
    free(config->name);
    free(config->topics);
    free(config->table);
    free(config->instance_id);
    free(config->dead_letter_topic);
    free(config->http_address);
    *config = (struct config){0};
}

/* A file that can't be read now may be one that is just being replaced. */
static char *read_again(const char *variable, const char *path, struct err *err)
{
    char *value;

    err->class = ERR_NONE;
    if (!path || !path[0])
        return NULL;
    value = config_read_file(path, err);
    if (!value) {
        err_context(err, "%s_FILE", variable);
        err->class = ERR_OUTAGE;
    }
    return value;
}

char *config_password(struct err *err)
{
    return read_again("PGPASSWORD", getenv("PGPASSWORD_FILE"), err);
}

char *config_property_read(const struct config_property *property, struct err *err)
{
    return read_again(property->variable, property->file, err);
}
