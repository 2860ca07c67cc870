/*
 * Of all runs, in the order in which they were started:
 *
 *   NAME         STATE         DONE      ROWS  DEAD LETTERS  STARTED (UTC)        TOOK
 *   orders-2026  complete   100.0 %  4999000          1000  2026-11-20 05:00:00  4 min 10 s
 */
#include "command/backfill_status.h"

#include "command/boot.h"
#include "command/output.h"
#include "ops/progress_summary.h"
#include "ops/progress_text.h"
#include "ops/text_table.h"
#include "pg/backfill_progress.h"
#include "pg/migrate.h"
#include "pg/session.h"

#include <stdlib.h>

const struct argument backfill_status_arguments[] = {
    {"NAME", ARGUMENT_WORD, offsetof(struct backfill_status_options, name),
     .doc = "Of this run; all runs unless it is said."},
    {"--json", ARGUMENT_FLAG, offsetof(struct backfill_status_options, json),
     .doc = "One JSON object in a line for each run."},
    {0},
};

/* --- A line of the list ----------------------------------------------------------------------- */

enum list_column { NAME, STATE, DONE, ROWS, DEAD_LETTERS, STARTED, TOOK };
enum { COLUMNS = TOOK + 1 };

static const struct text_column columns[COLUMNS] = {
    [NAME] = {"NAME", false},
    [STATE] = {"STATE", false},
    [DONE] = {"DONE", true},
    [ROWS] = {"ROWS", true},
    [DEAD_LETTERS] = {"DEAD LETTERS", true},
    [STARTED] = {"STARTED (UTC)", false},
    [TOOK] = {"TOOK", false},
};

static void append_cell(struct buffer *out, const struct progress *progress,
                        enum list_column column)
{
    struct progress_sum sum = progress_sum(progress);

    switch (column) {
    case NAME:
        buffer_append_text(out, progress->name);
        break;
    case STATE:
        buffer_append_text(out, progress_state_name(progress->state));
        break;
    case DONE:
        progress_text_percent(out, progress_permille(sum.done_count, sum.offsets_count));
        break;
    case ROWS:
        progress_text_count(out, sum.rows_count);
        break;
    case DEAD_LETTERS:
        progress_text_count(out, sum.dead_letters_count);
        break;
    case STARTED:
        progress_text_time(out, progress->started_ms);
        break;
    case TOOK:
        progress_text_duration(out, progress_took_ms(progress));
        break;
    }
}

static void put_line(struct text_table *list, const struct progress *progress)
{
    struct buffer text = {0};

    for (int i = 0; i < COLUMNS; i++) {
        buffer_reset(&text);
        append_cell(&text, progress, (enum list_column)i);
        text_table_put(list, buffer_text(&text));
    }
    buffer_finish(&text);
}

/* --- The command ------------------------------------------------------------------------------ */

static void append_json(struct buffer *out, const struct progress *progress)
{
    json_t *object = progress_json(progress);
    char *text = json_dumps(object, JSON_COMPACT);

    buffer_printf(out, "%s\n", text);
    free(text);
    json_decref(object);
}

static int fail(const struct err *err)
{
    log_error("backfills can't be shown", LOG_STR("class", err_class_name(err->class)),
              LOG_ERR(err));
    return boot_exit_code(err);
}

static int show_one(PGconn *connection, const struct backfill_status_options *options,
                    struct buffer *out)
{
    struct backfill_progress backfill;
    struct err err;
    bool found = backfill_progress_read(&backfill, connection, options->name, 0, &err);

    if (found && options->json)
        append_json(out, &backfill.progress);
    else if (found)
        progress_summary_append(out, &backfill.progress);
    backfill_progress_finish(&backfill);
    if (!found && err.class == ERR_NONE) {
        log_error("there is no such backfill", LOG_STR("name", options->name));
        return EXIT_USAGE;
    }
    return found ? EXIT_DONE : fail(&err);
}

/* A run that is gone since the names were asked for is left out. */
static int show_names(PGconn *connection, const PGresult *names, bool json, struct buffer *out)
{
    struct text_table list = {.columns = columns, .columns_count = COLUMNS};
    struct err err = {0};

    for (int i = 0; i < PQntuples(names) && err.class == ERR_NONE; i++) {
        struct backfill_progress backfill;
        bool found =
            backfill_progress_read(&backfill, connection, PQgetvalue(names, i, 0), 0, &err);
        if (found && json)
            append_json(out, &backfill.progress);
        else if (found)
            put_line(&list, &backfill.progress);
        backfill_progress_finish(&backfill);
    }
    if (!json)
        text_table_append(&list, out);
    text_table_finish(&list);
    return err.class == ERR_NONE ? EXIT_DONE : fail(&err);
}

static int show_all(PGconn *connection, bool json, struct buffer *out)
{
    struct err err = {0};
    PGresult *names = backfill_progress_names(connection, &err);
    int code = names ? show_names(connection, names, json, out) : fail(&err);

    PQclear(names);
    return code;
}

static int show(PGconn *connection, const struct backfill_status_options *options,
                struct buffer *out)
{
    struct err err;

    if (!migrate_check(connection, &err))
        return fail(&err);
    return options->name ? show_one(connection, options, out)
                         : show_all(connection, options->json, out);
}

int command_backfill_status(const struct config *config, const void *backfill_status_options)
{
    const struct backfill_status_options *options = backfill_status_options;
    struct err err = {0};
    struct buffer out = {0};
    PGconn *connection = session_connect(config, config->connect_timeout_ms, &err);

    if (!connection)
        return fail(&err);
    int code = show(connection, options, &out);
    if (code == EXIT_DONE)
        code = output_write(&out);
    PQfinish(connection);
    buffer_finish(&out);
    return code;
}
