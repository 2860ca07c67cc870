/*
 * KAFKA_X_Y is librdkafka's property x.y, and librdkafka says whether it knows the property and
 * takes the value: each is set once on a configuration that is then thrown away. No property has an
 * underscore that a program could set, so the name is unambiguous; a few end with .file, and these
 * come before our own NAME_FILE.
 *
 * Some properties are ours, because the wrong value would lose records, stop the loop or be without
 * effect. They are refused with the reason, unless the value is the one that we set anyway.
 */
#include "config_internal.h"

#include "base/memory.h"
#include "base/secret.h"
#include "base/suggest.h"

#include <ctype.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>

static const char prefix[] = "KAFKA_";

struct refusal {
    const char *property;
    const char *allowed; /* our own value in librdkafka's words; NULL: there is none */
    const char *reason;  /* and what to do */
};

static const struct refusal refusals[] = {
    {"enable.auto.commit", "false",
     "positions are kept in PostgreSQL; leave it out, offsets are told to Kafka after each commit"},
    {"auto.commit.enable", "false",
     "it is the old name of enable.auto.commit, which is off; leave it out"},
    {"auto.commit.interval.ms", NULL, "nothing is committed automatically; leave it out"},
    {"enable.auto.offset.store", "false",
     "a record counts as done when PostgreSQL has it; leave it out"},
    {"auto.offset.reset", "error",
     "jumping to another offset would skip records; use SINK_START for a first start"},
    {"enable.partition.eof", "false", "it is the sink's own signal; leave it out"},
    {"isolation.level", "read_committed",
     "records of aborted transactions would become rows; leave it out"},
    {"check.crcs", "true", "damaged records would become rows; leave it out"},
    {"allow.auto.create.topics", "false",
     "a mistyped topic would be created; create topics on the broker"},
    {"plugin.library.paths", NULL, "code from elsewhere is not loaded; leave it out"},
    {"metadata.broker.list", NULL, "it is the old name; use KAFKA_BOOTSTRAP_SERVERS"},
    {"queued.max.messages.kbytes", NULL, "it follows from the memory limit; use SINK_MEMORY_LIMIT"},
    {"queued.min.messages", NULL, "it follows from the memory limit; use SINK_MEMORY_LIMIT"},
    {"max.poll.records", NULL, "it has no effect on this consumer; use SINK_BATCH_SIZE"},
    {"consume.callback.max.messages", NULL, "it is the sink's own; use SINK_BATCH_SIZE"},
    {"offset.store.method", NULL, "positions are kept in PostgreSQL; leave it out"},
    {"offset.store.path", NULL, "positions are kept in PostgreSQL; leave it out"},
    {"offset.store.sync.interval.ms", NULL, "positions are kept in PostgreSQL; leave it out"},
    {"enable.idempotence", "true", "dead letters would be lost or doubled; leave it out"},
    {"transactional.id", NULL, "dead letters go to Kafka outside of transactions; leave it out"},
    {"message.timeout.ms", "0", "dead letters wait until Kafka has them; leave it out"},
    {"delivery.timeout.ms", "0", "dead letters wait until Kafka has them; leave it out"},
    {"delivery.report.only.error", "false",
     "a position moves when Kafka has acknowledged the dead letters before it; leave it out"},
    {"log.queue", "false", "it is the sink's own; use SINK_LOG_LEVEL and KAFKA_DEBUG"},
};

/* --- Names ------------------------------------------------------------------------------------ */

static bool is_variable_letter(char letter)
{
    return (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') || letter == '_';
}

static void replace(char *text, char from, char to)
{
    for (char *at = strchr(text, from); at; at = strchr(at, from))
        *at = to;
}

static void change_case(char *text, int (*change)(int))
{
    for (; *text; text++)
        *text = (char)change((unsigned char)*text);
}

/* KAFKA_SESSION_TIMEOUT_MS -> session.timeout.ms; NULL: it is not written in capitals. */
static char *property_name(const char *variable)
{
    const char *at = variable + strlen(prefix);

    while (is_variable_letter(*at))
        at++;
    if (*at)
        return NULL;
    char *name = memory_strdup(variable + strlen(prefix));
    change_case(name, tolower);
    replace(name, '_', '.');
    return name;
}

static char *variable_name(const char *property)
{
    char *name = memory_printf("%s%s", prefix, property);

    change_case(name, toupper);
    replace(name, '.', '_');
    return name;
}

/* What librdkafka itself calls sensitive, less the user name, and what sounds like it. */
static bool is_secret_name(const char *name)
{
    static const char *const places[] = {".location", ".file", ".url"};

    for (size_t i = 0; i < COUNT_OF(places); i++) {
        if (config_ends_with(name, places[i]))
            return false;
    }
    return secret_is_word(name) || config_ends_with(name, ".key") ||
           config_ends_with(name, ".pem") || strcmp(name, "sasl.oauthbearer.config") == 0;
}

/* --- Suggestions ------------------------------------------------------------------------------ */

/* The list as librdkafka prints it: a property begins its line, and a " | " ends its name. */
static char *list_properties(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    if (!file)
        return memory_strdup("");
    rd_kafka_conf_properties_show(file);
    fclose(file);
    return text;
}

static const struct refusal *find_refusal(const char *property)
{
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        if (strcmp(refusals[i].property, property) == 0)
            return &refusals[i];
    }
    return NULL;
}

/* One that can be set: names with an underscore are callbacks and pointers. */
static bool is_offered(const char *property)
{
    return islower((unsigned char)property[0]) && !strchr(property, '_') && !find_refusal(property);
}

char *config_kafka_suggest(const char *variable)
{
    struct suggestion best = {0};
    char *typed = memory_strdup(strchr(variable, '_') + 1);
    char *list = list_properties();
    char *rest = list;

    replace(typed, '_', '.');
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        line[strcspn(line, " |")] = '\0';
        if (is_offered(line))
            suggest_consider(&best, typed, line);
    }
    char *suggestion = best.word ? variable_name(best.word) : NULL;
    free(list);
    free(typed);
    return suggestion;
}

/* KAFKA_TOPICS and the like: the right word behind the wrong prefix. */
static char *suggest(const char *variable)
{
    char *suggestion = config_kafka_suggest(variable);

    for (size_t i = 0; !suggestion && i < config_options_count; i++) {
        const char *option = config_options[i].name;

        if (strncmp(option, "SINK_", 5) == 0 &&
            suggest_distance(option + 5, variable + strlen(prefix)) <= 1)
            suggestion = memory_strdup(option);
    }
    return suggestion;
}

/* --- One property ----------------------------------------------------------------------------- */

/* Setting nothing sets the default, if there is such a property. */
static bool is_known(const char *name)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char reason[512];

    bool known =
        rd_kafka_conf_set(conf, name, NULL, reason, sizeof(reason)) != RD_KAFKA_CONF_UNKNOWN;
    rd_kafka_conf_destroy(conf);
    return known;
}

/* The refusal that applies to a value as librdkafka writes it (TRUE, t and 1 are true). */
static void check_refusal(struct config_reader *reader, const struct config_property *property,
                          const rd_kafka_conf_t *conf)
{
    const struct refusal *refusal = find_refusal(property->name);
    char value[64] = "";
    size_t size = sizeof(value);

    if (!refusal)
        return;
    if (refusal->allowed &&
        rd_kafka_conf_get(conf, property->name, value, &size) == RD_KAFKA_CONF_OK &&
        strcmp(value, refusal->allowed) == 0)
        return;
    config_problem(reader, property->variable, "is refused: %s", refusal->reason);
}

/* Behind the name in a line of librdkafka's list: name | C/P | range | default | ... */
enum list_column { LIST_SCOPE = 1, LIST_RANGE };

static char *column_in(const char *line, const char *property, enum list_column column)
{
    size_t len = strcspn(line, " |");
    const char *at = line;

    if (len != strlen(property) || strncmp(line, property, len) != 0)
        return NULL;
    for (int i = 0; at && i < (int)column; i++)
        at = strchr(at + (i > 0), '|');
    if (!at)
        return NULL;
    at += 1 + strspn(at + 1, " ");
    len = strcspn(at, "|");
    while (len && at[len - 1] == ' ')
        len--;
    return len ? memory_strndup(at, len) : NULL;
}

/* What librdkafka's list says of a property. free() ends it; NULL: nothing. */
static char *listed(const char *property, enum list_column column)
{
    char *list = list_properties();
    char *rest = list;
    char *found = NULL;

    for (char *line = strsep(&rest, "\n"); line && !found; line = strsep(&rest, "\n"))
        found = column_in(line, property, column);
    free(list);
    return found;
}

static char scope_of(const char *property)
{
    char *listed_scope = listed(property, LIST_SCOPE);
    char scope = '*';

    if (listed_scope)
        scope = listed_scope[0];
    free(listed_scope);
    return scope;
}

/* librdkafka's words may repeat the value, so a secret gets ours. */
static void report_value(struct config_reader *reader, const struct config_property *property,
                         const char *reason)
{
    char *allowed = listed(property->name, LIST_RANGE);

    if (property->secret)
        reason = "librdkafka does not take the value";
    if (allowed)
        config_problem(reader, property->variable, "%s; it can be %s", reason, allowed);
    else
        config_problem(reader, property->variable, "%s; see librdkafka's documentation of %s",
                       reason, property->name);
    free(allowed);
}

/* True: librdkafka takes the value. */
static bool try_value(struct config_reader *reader, const struct config_property *property,
                      rd_kafka_conf_t *conf)
{
    char reason[512];

    if (rd_kafka_conf_set(conf, property->name, property->value, reason, sizeof(reason)) ==
        RD_KAFKA_CONF_OK)
        return true;
    reason[strcspn(reason, "\n")] = '\0';
    report_value(reader, property, reason);
    return false;
}

static void check_property(struct config_reader *reader, const struct config_property *property)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const struct refusal *refusal = find_refusal(property->name);

    /* What is never allowed is not even tried: plugin.library.paths would load code. */
    if ((refusal && !refusal->allowed) || try_value(reader, property, conf))
        check_refusal(reader, property, conf);
    rd_kafka_conf_destroy(conf);
}

/* `typed` is the variable without a _FILE at its end. */
static void report_unknown(struct config_reader *reader, const char *variable, const char *typed)
{
    char *suggestion = suggest(typed);

    if (suggestion)
        config_problem(reader, variable, "is not a property of librdkafka; did you mean %s%s?",
                       suggestion, variable + strlen(typed));
    else
        config_problem(reader, variable,
                       "is not a property of librdkafka; KAFKA_X_Y has to be its x.y");
    free(suggestion);
}

/* NULL: the variable itself has the value. */
static char *file_of(const struct config_reader *reader, const char *variable)
{
    char *name = memory_printf("%s_FILE", variable);
    const char *file = config_variable(reader, name);

    free(name);
    return file ? memory_strdup(file) : NULL;
}

static void add_property(struct config_reader *reader, const char *variable, const char *name)
{
    struct config *config = reader->config;
    char *value = config_read(reader, variable);

    if (!value)
        return;
    config->properties = memory_resize(config->properties, (config->properties_count + 1) *
                                                               sizeof(*config->properties));
    struct config_property *property = &config->properties[config->properties_count++];
    *property = (struct config_property){
        .name = memory_strdup(name),
        .value = value,
        .variable = memory_strdup(variable),
        .file = file_of(reader, variable),
        .secret = is_secret_name(name) || secret_present(value),
        .scope = scope_of(name),
    };
    check_property(reader, property);
}

/* --- All of them ------------------------------------------------------------------------------ */

/*
 * The property's name; NULL: there is no such property. A _FILE that is not the property's own is
 * cut off the variable.
 */
static char *resolve(char *variable)
{
    char *name = property_name(variable);

    if (name && !is_known(name) && config_ends_with(variable, "_FILE")) {
        variable[strlen(variable) - strlen("_FILE")] = '\0';
        name[strlen(name) - strlen(".file")] = '\0';
    }
    if (name && !is_known(name)) {
        free(name);
        name = NULL;
    }
    return name;
}

/* NAME_FILE next to NAME: read as NAME, which then says that there are both. */
static bool is_read_as(const struct config_reader *reader, const char *variable, const char *typed)
{
    return strcmp(variable, typed) != 0 && config_variable(reader, typed);
}

static void load_variable(struct config_reader *reader, const char *variable)
{
    const char *value = config_variable(reader, variable);
    char *typed = memory_strdup(variable);
    char *name = value ? resolve(typed) : NULL;

    if (name && !config_kafka_value(reader->config, name) && !is_read_as(reader, variable, typed))
        add_property(reader, typed, name);
    else if (!name && value && !config_is_service_link(variable, value))
        report_unknown(reader, variable, typed);
    free(name);
    free(typed);
}

static void require_properties(struct config_reader *reader)
{
    for (size_t i = 0; i < config_options_count; i++) {
        const struct option *option = &config_options[i];

        if (option->type != OPTION_PROPERTY || !option->required)
            continue;
        char *name = property_name(option->name);
        if (!config_kafka_value(reader->config, name))
            config_require(reader, option);
        free(name);
    }
}

static int compare_properties(const void *left, const void *right)
{
    const struct config_property *one = left;
    const struct config_property *other = right;

    return strcmp(one->variable, other->variable);
}

/* The environment has no order of its own. */
static void sort_properties(struct config *config)
{
    if (config->properties_count > 0)
        qsort(config->properties, config->properties_count, sizeof(*config->properties),
              compare_properties);
}

void config_kafka_load(struct config_reader *reader)
{
    for (char *const *entry = reader->environment; *entry; entry++) {
        char *variable = config_entry_name(*entry, prefix);

        if (variable)
            load_variable(reader, variable);
        free(variable);
    }
    require_properties(reader);
    sort_properties(reader->config);
}

const struct config_property *config_property(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->properties_count; i++) {
        if (strcmp(config->properties[i].name, name) == 0)
            return &config->properties[i];
    }
    return NULL;
}

const char *config_kafka_value(const struct config *config, const char *property)
{
    const struct config_property *found = config_property(config, property);

    return found ? found->value : NULL;
}
