/*
 *   options --> schema, tables, topics --> taken, so that no other process does the same
 *      --> plan: made and written, or as it was written by a former start, if that is what is asked
 *          for --> loaded (command/backfill_load.c) --> its end is noted --> summary
 *
 * Two processes that start at once for the first time both make a plan; one writes it, and both
 * then read that one. The race of two for the same share is settled before it begins: each holds a
 * lock of its session while it lives. What makes it safe is not the lock but the epoch of each
 * range, as with sinks: whoever has claimed it last can write, nobody else.
 */
#include "command/backfill.h"

#include "backfill/partitions.h"
#include "backfill/plan.h"
#include "base/clock.h"
#include "base/memory.h"
#include "command/backfill_hold.h"
#include "command/backfill_load.h"
#include "command/boot.h"
#include "command/output.h"
#include "kafka/client.h"
#include "ops/progress_summary.h"
#include "pg/backfill_progress.h"
#include "pg/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name) .offset = offsetof(struct backfill_options, name)

enum { PARALLEL_MAX = 64, PROCESSES_MAX = 10000 };

/* Who sent the signal waits for the end of the process, and has waited for the drain. */
enum { INTERRUPTED_CONNECT_MS = 5000 };

const struct argument backfill_arguments[] = {
    {"--from", ARGUMENT_TEXT, FIELD(from), .value = "BOUND",
     .doc = "earliest, an offset, a time, or a time back from now (-90d, -36h, -15m)."},
    {"--to", ARGUMENT_TEXT, FIELD(to), .value = "BOUND",
     .doc = "The same, or latest, the default; what is there is not loaded any more."},
    {"--until-live", ARGUMENT_FLAG, FIELD(until_live),
     .doc = "Instead of --to: up to where the sink SINK_NAME has begun."},
    {"--partitions", ARGUMENT_TEXT, FIELD(partitions), .value = "LIST",
     .doc = "Only these, as in 0,3,8-11."},
    {"--name", ARGUMENT_TEXT, FIELD(name), .value = "NAME",
     .doc = "What its progress is kept under; SINK_NAME unless it is said."},
    {"--parallel", ARGUMENT_NUMBER, FIELD(parallel), .min = 1, .max = PARALLEL_MAX, .value = "N",
     .doc = "Cut each partition into N ranges that load side by side; 1 unless it is said."},
    {"--index", ARGUMENT_NUMBER, FIELD(index), .min = 0, .max = PROCESSES_MAX - 1, .value = "I",
     .doc = "With --of N: load the partitions p with p % N = I."},
    {"--of", ARGUMENT_NUMBER, FIELD(of), .min = 1, .max = PROCESSES_MAX, .value = "N",
     .doc = "As many processes share it, each with an --index from 0."},
    {"--dry-run", ARGUMENT_FLAG, FIELD(dry_run), .doc = "Show what would be loaded, and end."},
    {"--restart", ARGUMENT_FLAG, FIELD(restart),
     .doc = "Forget the progress under this name: what is in the table already is loaded again."},
    {"--json", ARGUMENT_FLAG, FIELD(json), .doc = "The summary as a JSON object."},
    {0},
};

struct run {
    const struct config *config;
    const struct backfill_options *options;
    struct plan_request request;
    struct backfill backfill;
    struct backfill_share share;
    struct backfill_hold hold;
    struct monitor monitor;
    PGconn *connection; /* NULL: none yet */
    bool planned;       /* by this process, a moment ago */
};

static int fail(const struct err *err)
{
    log_error("backfill", LOG_STR("class", err_class_name(err->class)), LOG_ERR(err));
    return boot_exit_code(err);
}

/* --- What is asked for ------------------------------------------------------------------------
 */

static bool refuse(const char *what)
{
    fprintf(stderr, "pgsluice: %s\nSee pgsluice backfill --help.\n", what);
    return false;
}

static bool refuse_bound(const char *option, const struct err *err)
{
    fprintf(stderr, "pgsluice: %s %s\nSee pgsluice backfill --help.\n", option, err->text);
    return false;
}

static bool parse_bounds(struct plan_request *request)
{
    int64_t now_ms = clock_wall_ms();
    struct err err;

    request->now_ms = now_ms;
    if (!bound_parse(&request->from, request->from_text, now_ms, &err))
        return refuse_bound("--from", &err);
    if (!request->until_live && !bound_parse(&request->to, request->to_text, now_ms, &err))
        return refuse_bound("--to", &err);
    if (request->from.kind == BOUND_LATEST)
        return refuse("--from latest would load nothing");
    if (!request->until_live && request->to.kind == BOUND_EARLIEST)
        return refuse("--to earliest would load nothing");
    if (request->from.kind == request->to.kind &&
        (request->from.offset > request->to.offset || request->from.time_ms > request->to.time_ms))
        return refuse("--from is behind --to");
    return *request->partitions == '\0' || partitions_check(request->partitions, &err) ||
           refuse_bound("--partitions", &err);
}

static bool check_options(const struct backfill_options *options)
{
    if (!options->from)
        return refuse("backfill needs --from, as in --from earliest or --from -90d");
    if (options->to && options->until_live)
        return refuse("--until-live stands instead of --to");
    if (options->index >= options->of)
        return refuse("--index has to be below --of: the processes are numbered from 0");
    if (options->restart && options->of > 1)
        return refuse("--restart can't be shared: each process would forget what the others have "
                      "done; give another --name");
    return true;
}

static bool take_options(struct run *run)
{
    const struct backfill_options *options = run->options;

    if (!check_options(options))
        return false;
    run->share = (struct backfill_share){.index = options->index, .of = options->of};
    run->request = (struct plan_request){
        .config = run->config,
        .name = options->name ? options->name : run->config->name,
        .from_text = options->from,
        .to_text = options->until_live ? "--until-live"
                   : options->to       ? options->to
                                       : "latest",
        .until_live = options->until_live,
        .partitions = options->partitions ? options->partitions : "",
        .parallel = options->parallel,
        .processes = options->of,
    };
    return parse_bounds(&run->request);
}

/* --- The summary ------------------------------------------------------------------------------
 */

static int print(const struct progress *progress, bool json)
{
    struct buffer out = {0};

    if (json) {
        json_t *object = progress_json(progress);
        char *text = json_dumps(object, JSON_COMPACT);
        buffer_printf(&out, "%s\n", text);
        free(text);
        json_decref(object);
    } else {
        progress_summary_append(&out, progress);
    }
    int code = output_write(&out);
    buffer_finish(&out);
    return code;
}

/* --- The plan ---------------------------------------------------------------------------------
 */

typedef bool (*question_cb)(struct run *run, rd_kafka_t *client, struct err *err);

static bool ask_kafka(struct run *run, question_cb question, struct err *err)
{
    rd_kafka_t *client = client_create(run->config, err);

    if (!client)
        return false;
    bool done = client_check(client, run->config, run->config->connect_timeout_ms, err) &&
                question(run, client, err);
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return done;
}

static bool make_plan(struct run *run, rd_kafka_t *client, struct err *err)
{
    return plan_make(&run->backfill, &run->request, client, run->connection, err);
}

static bool has_topics(struct run *run, rd_kafka_t *client, struct err *err)
{
    return plan_has_topics(&run->backfill, run->config, client, err);
}

static bool read_again(struct run *run, struct err *err)
{
    backfill_finish(&run->backfill);
    return backfill_table_read(run->connection, run->request.name, &run->backfill, err);
}

static void log_restart(const struct backfill *forgotten)
{
    int64_t rows = 0;

    for (size_t i = 0; i < forgotten->ranges_count; i++)
        rows += forgotten->ranges[i].written.rows_count;
    log_warn("restart: the rows that were loaded before stay in the table, and are loaded again",
             LOG_STR("backfill", forgotten->name), LOG_INT("rows", rows));
}

static bool is_same(struct run *run, struct err *err)
{
    bool gained;

    return plan_is_same(&run->backfill, &run->request, run->connection, &gained, err) &&
           (!gained || backfill_table_keep_mapping(run->connection, &run->backfill, err));
}

/* Another process may have written one since we looked. forgotten: what was there, or NULL. */
static bool write_plan(struct run *run, const struct backfill *forgotten, struct err *err)
{
    if (!ask_kafka(run, make_plan, err) ||
        !backfill_table_write(run->connection, &run->backfill, forgotten ? forgotten->plan : NULL,
                              err))
        return false;
    if (forgotten)
        log_restart(forgotten);
    if (!read_again(run, err))
        return false;
    log_info("planned", LOG_STR("backfill", run->backfill.name),
             LOG_INT("ranges", (int64_t)run->backfill.ranges_count));
    run->planned = true;
    return is_same(run, err);
}

/* Nobody else may be at work on what is forgotten: of its shares we have but one. */
static bool begin_anew(struct run *run, struct err *err)
{
    struct backfill forgotten = run->backfill;
    bool done = backfill_hold_take_all(&run->hold, forgotten.processes, err);

    run->backfill = (struct backfill){0};
    done = done && write_plan(run, &forgotten, err);
    backfill_finish(&forgotten);
    return done;
}

static bool find_plan(struct run *run, struct err *err)
{
    if (!backfill_table_read(run->connection, run->request.name, &run->backfill, err))
        return false;
    if (run->backfill.created_ms == 0)
        return write_plan(run, NULL, err);
    return run->options->restart ? begin_anew(run, err) : is_same(run, err);
}

/* As it was begun before, or would be now. */
static bool preview(struct run *run, struct backfill_progress *picture, struct err *err)
{
    bool begun = backfill_progress_read(picture, run->connection, run->request.name, 0, err);
    bool gained;

    if (!begun && err->class != ERR_NONE)
        return false;
    if (begun && !run->options->restart)
        return plan_is_same(&picture->backfill, &run->request, run->connection, &gained, err);
    backfill_progress_finish(picture);
    if (!ask_kafka(run, make_plan, err))
        return false;
    backfill_progress_plan(picture, &run->backfill);
    return true;
}

static int dry_run(struct run *run)
{
    struct backfill_progress picture;
    struct err err;
    int code =
        preview(run, &picture, &err) ? print(&picture.progress, run->options->json) : fail(&err);

    backfill_progress_finish(&picture);
    return code;
}

/* --- The run ----------------------------------------------------------------------------------
 */

static int64_t letters_of_share(const struct backfill *backfill, const struct backfill_share *share)
{
    int64_t count = 0;

    for (size_t i = 0; i < backfill->ranges_count; i++)
        if (backfill_share_has(share, backfill->ranges[i].partition))
            count += backfill->ranges[i].written.dead_letters_count;
    return count;
}

static bool is_share_complete(const struct backfill *backfill, const struct backfill_share *share)
{
    for (size_t i = 0; i < backfill->ranges_count; i++) {
        const struct backfill_range *range = &backfill->ranges[i];
        if (backfill_share_has(share, range->partition) && range->next_offset < range->end_offset)
            return false;
    }
    return true;
}

/* What has come of it, as PostgreSQL has it. */
static bool note_end(struct run *run, bool in_time, struct backfill_progress *picture,
                     struct err *err)
{
    const char *name = run->request.name;
    int64_t timeout_ms = in_time ? run->config->connect_timeout_ms : INTERRUPTED_CONNECT_MS;

    PQfinish(run->connection);
    run->connection = session_connect(run->config, timeout_ms, err);
    if (!run->connection || !backfill_table_end(run->connection, name, err))
        return false;
    bool found = backfill_progress_read(picture, run->connection, name, run->hold.pid, err);
    if (found && strcmp(picture->backfill.plan, run->backfill.plan) == 0)
        return true;
    return err->class != ERR_NONE
               ? false
               : err_set(err, ERR_CONTENTION,
                         "backfill %s was forgotten while it was loaded here%s", name,
                         found ? ": another process has begun it anew (--restart)" : "");
}

static void log_halted(const struct progress *progress)
{
    const struct progress_range *first = NULL;
    int64_t count = 0;

    for (size_t i = progress->ranges_count; i-- > 0;)
        if (progress->ranges[i].reason) {
            first = &progress->ranges[i];
            count++;
        }
    if (first)
        log_error("halted: mend this, then run it again with the same options, without --restart",
                  LOG_STR("backfill", progress->name), LOG_STR("reason", first->reason),
                  LOG_STR("topic", first->topic), LOG_INT("partition", first->partition),
                  LOG_INT("offset", first->next_offset), LOG_INT("ranges_halted", count),
                  LOG_STR("note", "its tables may gain columns; once a column is changed or gone, "
                                  "it does not go on"));
    else
        log_warn("interrupted: to go on, run it again with the same options, without --restart",
                 LOG_STR("backfill", progress->name));
}

/* The numbers of the processes whose shares are not complete. */
static void append_others(struct buffer *out, const struct backfill *backfill)
{
    struct backfill_share share = {.of = backfill->processes};
    const char *comma = "";

    for (; share.index < share.of; share.index++)
        if (!is_share_complete(backfill, &share)) {
            buffer_printf(out, "%s%" PRId64, comma, share.index);
            comma = ", ";
        }
}

/* Ours is complete, the whole is not. */
static void note_others(const struct run *run, struct backfill_progress *picture,
                        struct buffer *note)
{
    struct buffer others = {0};

    append_others(&others, &picture->backfill);
    log_info("share complete: the backfill is when the others are",
             LOG_STR("backfill", run->request.name), LOG_INT("index", run->share.index),
             LOG_INT("of", run->share.of), LOG_STR("incomplete", buffer_text(&others)));
    buffer_printf(note,
                  "The share of this process (--index %" PRId64 " --of %" PRId64
                  ") is complete; not complete: --index %s",
                  run->share.index, run->share.of, buffer_text(&others));
    picture->progress.note = buffer_text(note);
    if (picture->progress.state == PROGRESS_INTERRUPTED)
        picture->progress.state = PROGRESS_INCOMPLETE;
    buffer_finish(&others);
}

static int conclude(const struct run *run, struct backfill_progress *picture, int loaded)
{
    struct buffer note = {0};

    backfill_progress_halt(picture, &run->backfill);
    if (loaded == EXIT_DONE || loaded == EXIT_TEMPORARY)
        loaded = is_share_complete(&picture->backfill, &run->share) ? EXIT_DONE : EXIT_TEMPORARY;
    if (loaded == EXIT_TEMPORARY)
        log_halted(&picture->progress);
    if (loaded == EXIT_DONE && run->share.of > 1 && picture->progress.state != PROGRESS_COMPLETE)
        note_others(run, picture, &note);
    if (loaded == EXIT_DONE && letters_of_share(&picture->backfill, &run->share) > 0)
        loaded = EXIT_DATA;
    int printed = print(&picture->progress, run->options->json);
    buffer_finish(&note);
    return loaded != EXIT_DONE ? loaded : printed;
}

static int end(struct run *run, int loaded)
{
    struct backfill_progress picture = {0};
    struct err err = {0};
    int code = loaded == EXIT_DONE ? EXIT_TEMPORARY : loaded;

    if (note_end(run, loaded != EXIT_TEMPORARY, &picture, &err))
        code = conclude(run, &picture, loaded);
    else
        fail(&err);
    backfill_progress_finish(&picture);
    return code;
}

static int load(struct run *run)
{
    struct err err = {0};

    if (!backfill_hold_take(&run->hold, &err) || !find_plan(run, &err))
        return fail(&err);
    PQfinish(run->connection); /* the load may take days */
    run->connection = NULL;
    if (is_share_complete(&run->backfill, &run->share)) {
        monitor_abandon(&run->monitor);
        return end(run, EXIT_DONE);
    }
    if (!run->planned && !ask_kafka(run, has_topics, &err))
        return fail(&err);
    return end(run, backfill_load(&run->monitor, &run->backfill, &run->share, &run->hold));
}

static int connect_and_run(struct run *run)
{
    struct err err = {0};

    run->connection = session_connect(run->config, run->config->connect_timeout_ms, &err);
    if (!run->connection)
        return fail(&err);
    run->hold = (struct backfill_hold){
        .config = run->config, .name = run->request.name, .index = run->share.index};
    int code = run->options->dry_run ? dry_run(run) : load(run);
    backfill_hold_end(&run->hold);
    PQfinish(run->connection);
    backfill_finish(&run->backfill);
    return code;
}

/*
 * Only when it was said where: by default it would be where the sink beside it serves, whose port
 * may also have come to it with the sink's settings.
 */
static bool wants_http(const struct run *run)
{
    const char *address = getenv("SINK_HTTP_ADDRESS");

    return address && *address && !run->options->dry_run;
}

static void listen_to_http(struct run *run)
{
    struct err err;

    run->monitor = (struct monitor){.config = run->config, .fd = -1};
    if (wants_http(run) && !monitor_listen(&run->monitor, run->config, &err))
        log_warn("HTTP is not served", LOG_ERR(&err));
}

int command_backfill(const struct config *config, const void *backfill_options)
{
    const struct backfill_options *options = backfill_options;
    struct run run = {.config = config, .options = options};
    int code;

    if (!take_options(&run))
        return EXIT_USAGE;
    log_info("starting", LOG_STR("version", PGSLUICE_VERSION),
             LOG_STR("backfill", run.request.name), LOG_STR("topics", config->topics),
             LOG_STR("from", run.request.from_text), LOG_STR("to", run.request.to_text),
             LOG_STR("instance", config->instance_id));
    listen_to_http(&run);
    code = boot_limits(config, options->parallel, run.monitor.fd >= 0);
    if (code == EXIT_DONE)
        code = boot_schema(config);
    if (code == EXIT_DONE)
        code = boot_tables(config);
    return code == EXIT_DONE ? connect_and_run(&run) : code;
}
