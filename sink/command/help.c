#include "command/help.h"

#include "base/buffer.h"
#include "command/output.h"

#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <uv.h>

const char help_usage[] = "Usage: pgsluice COMMAND [--help]\n";

static const char examples[] =
    "\n"
    "A secret can come from a file: NAME_FILE=/path instead of NAME. An empty variable is not "
    "set.\n"
    "\n"
    "Examples:\n"
    "  # the topic orders into the table orders\n"
    "  KAFKA_BOOTSTRAP_SERVERS=localhost:9092 KAFKA_GROUP_ID=warehouse SINK_TOPICS=orders \\\n"
    "  PGHOST=localhost PGDATABASE=shop PGUSER=sink pgsluice run\n"
    "\n"
    "  # every topic that begins with shop. into the schema events, with TLS and a password file\n"
    "  KAFKA_BOOTSTRAP_SERVERS=kafka:9093 KAFKA_GROUP_ID=warehouse \\\n"
    "  KAFKA_SECURITY_PROTOCOL=sasl_ssl KAFKA_SASL_MECHANISM=SCRAM-SHA-512 \\\n"
    "  KAFKA_SASL_USERNAME=sink KAFKA_SASL_PASSWORD_FILE=/run/secrets/kafka \\\n"
    "  SINK_TOPICS='^shop[.].*' SINK_TABLE='events.${topic}' \\\n"
    "  PGSERVICE=warehouse PGPASSWORD_FILE=/run/secrets/postgres pgsluice run\n"
    "\n"
    "Exit codes: 0 done or drained, 64 usage, 65 records were refused, 69 server unreachable at "
    "the\n"
    "start, 70 internal error, 75 temporary failure, 78 configuration.\n";

int help_print(void)
{
    struct buffer text = {0};

    buffer_append_text(
        &text,
        "pgsluice moves records from Kafka topics into PostgreSQL tables, exactly once.\n\n");
    buffer_append_text(&text, help_usage);
    buffer_append_text(&text, "\nCommands:\n");
    for (const struct command *command = commands; command->name; command++)
        buffer_printf(&text, "  %-24s%s\n", command->name, command->summary);
    buffer_printf(&text, "  %-24s%s\n", "help [COMMAND]",
                  "Show this text, or more about a command.");
    buffer_printf(&text, "  %-24s%s\n", "--version",
                  "Show the versions of the program and its libraries.");
    buffer_append_text(&text, "\nSettings are environment variables.\n");
    config_help(&text);
    buffer_append_text(&text, examples);
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}

int help_print_command(const struct command *command)
{
    struct buffer text = {0};

    buffer_printf(&text, "Usage: pgsluice %s", command->name);
    if (command->option)
        buffer_printf(&text, " [%s]", command->option);
    if (command->arguments)
        buffer_append_text(&text, " [OPTION...]");
    buffer_printf(&text, "\n\n%s", command->help);
    if (command->arguments) {
        buffer_append_text(&text, "\nOptions:\n");
        arguments_help(command->arguments, &text);
    }
    buffer_printf(&text, "\nSettings are environment variables: see pgsluice --help.\n");
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}

int help_print_version(void)
{
    struct buffer text = {0};
    int libpq = PQlibVersion();

    buffer_printf(&text, "pgsluice %s\n", PGSLUICE_VERSION);
    buffer_printf(&text, "librdkafka %s\n", rd_kafka_version_str());
    buffer_printf(&text, "libpq %d.%d\n", libpq / 10000, libpq % 10000);
    buffer_printf(&text, "libuv %s\n", uv_version_string());
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}

int help_print_group(const char *group)
{
    struct buffer text = {0};

    buffer_printf(&text, "Usage: pgsluice %s COMMAND [--help]\n\nCommands:\n", group);
    for (const struct command *command = commands; command->name; command++)
        if (commands_in_group(command, group))
            buffer_printf(&text, "  %-24s%s\n", commands_in_group(command, group),
                          command->summary);
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}
