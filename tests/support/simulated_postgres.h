/*
 * PostgreSQL as far as a sink can see it: positions, rows and dead letters, changed by transactions
 * that hold locks, wait, fail, and may be committed without their client ever hearing of it.
 *
 * A transaction is moved one step at a time (simulated_step), so everything that can happen between
 * two of its steps does, in some run. After each commit the prefix property is checked. Included
 * once, by the test program, with scripted_conn.h.
 */
#ifndef SIMULATED_POSTGRES_H
#define SIMULATED_POSTGRES_H

#include "catalog_answer.h"
#include "scripted_conn.h"
#include "virtual_loop.h"

#include <endian.h>
#include <inttypes.h>

enum {
    TOPICS = 2,
    PARTITIONS = 2,
    SLOTS = TOPICS * PARTITIONS,
    LOG_MAX = 160,
    WRITES_MAX = 4096,
    TRANSACTIONS_MAX = 64,
    SNAPSHOTS = 6,
};

/* --- What Kafka holds, the truth ---------------------------------------------------------------
 */

enum kind {
    KIND_ROW,
    KIND_ROW_OF_LESS, /* no note: its DEFAULT applies; no "more": NULL, or a dead letter */
    KIND_UNDECODABLE, /* no JSON */
    KIND_REFUSED,     /* violates a CHECK of the table, as long as it has it */
    KIND_ORPHAN,      /* violates a foreign key of the table, as long as it has it */
};

struct log_record {
    int64_t offset;
    enum kind kind;
};

struct log {
    struct log_record records[LOG_MAX];
    int count;
};

static const char *const topic_names[TOPICS] = {"orders", "clicks"};
static struct log logs[SLOTS];

static inline int slot_of(const char *topic, int32_t partition)
{
    int index = strcmp(topic, topic_names[0]) == 0 ? 0 : 1;

    assert(strcmp(topic, topic_names[index]) == 0 && partition >= 0 && partition < PARTITIONS);
    return index * PARTITIONS + partition;
}

/* -1: no such record. */
static inline int log_find(int slot, int64_t offset)
{
    for (int i = 0; i < logs[slot].count; i++)
        if (logs[slot].records[i].offset == offset)
            return i;
    return -1;
}

/* --- What is committed -------------------------------------------------------------------------
 */

struct stored {
    bool exists;
    int64_t next_offset;
    int64_t epoch;
    uint8_t rows[LOG_MAX];
    uint8_t dead[LOG_MAX];
};

struct database {
    struct stored slots[SLOTS];
};

static struct database database;
static struct database snapshots[SNAPSHOTS];
static int snapshots_count;

/* The tables' own state, the same for all of them. */
static struct {
    bool text;         /* a column's type has no binary form of ours */
    bool has_more;     /* the column "more" is there */
    bool needs_more;   /* and is NOT NULL */
    bool has_check;    /* ids must not be negative */
    bool has_key;      /* ids must not be orphans': no line is named */
    bool key_deferred; /* that is checked at the COMMIT, else behind the last row */
    bool no_letters;   /* a trigger on the dead letters refuses them */
    unsigned version;  /* one more with each change */
} tables;

/* From here on ids are orphans'. */
static const int64_t first_orphan = INT64_C(1000000000);

/* In a thousand, for each step. */
static struct {
    int lost;
    int contention;
    int lock_timeout;
} faults;

static bool at_least_once; /* there are no positions: a record may be written more than once */

static void (*simulated_failed)(const char *what, int slot, int64_t offset);

static inline void check_record(int slot, int index)
{
    const struct stored *stored = &database.slots[slot];
    int64_t offset = logs[slot].records[index].offset;
    int times = stored->rows[index] + stored->dead[index];
    bool below = stored->exists && offset < stored->next_offset;

    if (at_least_once)
        return;
    if (times > 1)
        simulated_failed("written more than once", slot, offset);
    if (below && times == 0)
        simulated_failed("below the position, but not written", slot, offset);
    if (!below && times > 0)
        simulated_failed("written, but above the position", slot, offset);
    if (stored->rows[index] && logs[slot].records[index].kind == KIND_UNDECODABLE)
        simulated_failed("a row of what is no row", slot, offset);
    if (stored->dead[index] && logs[slot].records[index].kind == KIND_ROW)
        simulated_failed("a dead letter of what is a row", slot, offset);
}

/* Rows and dead letters are exactly the records below the position, each once. */
static inline void check_slot(int slot)
{
    for (int i = 0; i < logs[slot].count; i++)
        check_record(slot, i);
}

/* --- Transactions ------------------------------------------------------------------------------
 */

enum phase {
    PHASE_RECEIVED,  /* its SQL is here */
    PHASE_COPYING,   /* it holds its locks and waits for its client's data */
    PHASE_SENT,      /* it has everything: it will commit, whether its client lives or not */
    PHASE_COMMITTED, /* its client has not heard of it */
};

struct move {
    int slot;
    int64_t epoch;
    int64_t from;
    int64_t to;
};

struct write {
    int slot;
    int64_t offset;
    bool dead;
};

struct transaction {
    bool used;
    struct conn *conn; /* NULL: its client is gone */
    enum phase phase;
    struct move moves[SLOTS];
    int moves_count;
    struct write writes[WRITES_MAX];
    int writes_count;
    bool has_orphan;
    bool untold;      /* the last COPY's end, which is told after the commit */
    size_t copied;    /* its rows */
    const char *rest; /* of the SQL: the next COPY */
};

static struct transaction transactions[TRANSACTIONS_MAX];

static inline struct transaction *transaction_of(const struct conn *conn)
{
    for (int i = 0; i < TRANSACTIONS_MAX; i++)
        if (transactions[i].used && transactions[i].conn == conn)
            return &transactions[i];
    return NULL;
}

/* Who holds the row of a position; NULL: nobody. */
static inline struct transaction *holder_of(int slot)
{
    for (int i = 0; i < TRANSACTIONS_MAX; i++) {
        const struct transaction *at = &transactions[i];
        if (!at->used || (at->phase != PHASE_COPYING && at->phase != PHASE_SENT))
            continue;
        for (int move = 0; move < at->moves_count; move++)
            if (at->moves[move].slot == slot)
                return &transactions[i];
    }
    return NULL;
}

static inline void take_snapshot(void)
{
    int at = snapshots_count < SNAPSHOTS ? snapshots_count++ : chance(SNAPSHOTS);

    snapshots[at] = database;
}

static inline void commit_write(const struct write *write)
{
    int index = log_find(write->slot, write->offset);

    if (index < 0) {
        simulated_failed("written, but never was a record", write->slot, write->offset);
        return;
    }
    if (write->dead)
        database.slots[write->slot].dead[index]++;
    else
        database.slots[write->slot].rows[index]++;
}

static inline void commit(struct transaction *transaction)
{
    for (int i = 0; i < transaction->moves_count; i++)
        database.slots[transaction->moves[i].slot].next_offset = transaction->moves[i].to;
    for (int i = 0; i < transaction->writes_count; i++)
        commit_write(&transaction->writes[i]);
    for (int slot = 0; slot < SLOTS; slot++)
        check_slot(slot);
    if (chance(4) == 0)
        take_snapshot();
}

/* Its client is gone: what is under way may end either way, later. */
static inline void simulated_orphan(const struct conn *conn)
{
    struct transaction *transaction = transaction_of(conn);

    if (!transaction)
        return;
    transaction->conn = NULL;
    if (transaction->phase == PHASE_RECEIVED || transaction->phase == PHASE_COMMITTED)
        transaction->used = false;
}

static inline void lose(struct conn *conn)
{
    simulated_orphan(conn);
    conn_lose(conn);
}

/* A step of one that has no client any more. */
static inline void step_orphan(void)
{
    struct transaction *orphan = &transactions[chance(TRANSACTIONS_MAX)];

    if (!orphan->used || orphan->conn)
        return;
    if (orphan->phase == PHASE_SENT && chance(2))
        commit(orphan);
    orphan->used = false;
}

/* --- Reading the sink's SQL --------------------------------------------------------------------
 */

static inline const char *after(const char *text, const char *part)
{
    const char *at = text ? strstr(text, part) : NULL;

    assert(at);
    return at + strlen(part);
}

static inline int64_t number_at(const char *at)
{
    return strtoll(at, NULL, 10);
}

/* A topic's literal, E'name'. */
static inline const char *topic_of(const char *at)
{
    for (int i = 0; i < TOPICS; i++)
        if (strncmp(at + 2, topic_names[i], strlen(topic_names[i])) == 0)
            return topic_names[i];
    assert(false);
    return NULL;
}

/* Element `index` of an ARRAY[...]. */
static inline const char *element(const char *array, int index)
{
    const char *at = after(array, "ARRAY[");

    while (index-- > 0)
        at = after(at, ",");
    return at;
}

static inline int elements(const char *array)
{
    int count = 1;

    for (const char *at = after(array, "ARRAY["); *at != ']'; at++)
        count += *at == ',';
    return count;
}

static inline void read_moves(struct transaction *transaction, const char *sql)
{
    const char *topics = strstr(sql, "ARRAY[");
    const char *partitions = strstr(after(topics, "]"), "ARRAY[");
    const char *epochs = strstr(after(partitions, "]"), "ARRAY[");
    const char *froms = strstr(after(epochs, "]"), "ARRAY[");
    const char *tos = strstr(after(froms, "]"), "ARRAY[");

    transaction->moves_count = elements(topics);
    assert(transaction->moves_count <= SLOTS);
    for (int i = 0; i < transaction->moves_count; i++)
        transaction->moves[i] = (struct move){
            .slot =
                slot_of(topic_of(element(topics, i)), (int32_t)number_at(element(partitions, i))),
            .epoch = number_at(element(epochs, i)),
            .from = number_at(element(froms, i)),
            .to = number_at(element(tos, i)),
        };
    transaction->rest = after(tos, ");");
}

/* --- COPY --------------------------------------------------------------------------------------
 */

enum { COPY_COLUMNS_MAX = 16 };

struct copy {
    bool dead_letters;
    bool binary;
    int topic;
    char columns[COPY_COLUMNS_MAX][32];
    int columns_count;
};

static inline struct copy read_copy(const char *sql)
{
    struct copy copy = {.dead_letters = strncmp(sql, "COPY pgsluice", 13) == 0};
    const char *end = strchr(sql, ';');
    const char *at = strchr(sql, '(') + 1;

    copy.topic = strncmp(sql, "COPY \"public\".\"clicks\"", 21) == 0;
    copy.binary = memmem(sql, (size_t)(end - sql), "binary", 6) != NULL;
    for (size_t len; *at != ')'; at += len) {
        at += strspn(at, ", ");
        len = strcspn(at, ",)");
        assert(copy.columns_count < COPY_COLUMNS_MAX && len < sizeof(copy.columns[0]));
        memcpy(copy.columns[copy.columns_count++], at, len);
    }
    return copy;
}

static inline int column_index(const struct copy *copy, const char *name)
{
    for (int i = 0; i < copy->columns_count; i++)
        if (strcmp(copy->columns[i], name) == 0)
            return i;
    return -1;
}

struct fields {
    int64_t integers[COPY_COLUMNS_MAX]; /* of those that are integers */
    struct slice texts[COPY_COLUMNS_MAX];
};

/* One row of text; the slice moves past it. */
static inline void read_text_row(const struct copy *copy, struct slice *data, struct fields *fields)
{
    for (int i = 0; i < copy->columns_count; i++) {
        const char *end = memchr(data->data, i + 1 < copy->columns_count ? '\t' : '\n', data->len);
        assert(end);
        fields->texts[i] = (struct slice){data->data, (size_t)(end - data->data)};
        fields->integers[i] = strtoll(data->data, NULL, 10);
        data->len -= (size_t)(end + 1 - data->data);
        data->data = end + 1;
    }
}

static inline void skip(struct slice *data, size_t bytes)
{
    assert(data->len >= bytes);
    data->data += bytes;
    data->len -= bytes;
}

static inline int64_t take_integer(struct slice *data, size_t bytes)
{
    uint64_t value = 0;
    const unsigned char *at = (const unsigned char *)data->data;

    skip(data, bytes);
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return bytes == 4 ? (int32_t)value : bytes == 2 ? (int16_t)value : (int64_t)value;
}

static inline void read_binary_row(const struct copy *copy, struct slice *data,
                                   struct fields *fields)
{
    int64_t count = take_integer(data, 2);

    assert(count == copy->columns_count);
    for (int i = 0; i < count; i++) {
        int64_t len = take_integer(data, 4);
        fields->texts[i] = (struct slice){data->data, len < 0 ? 0 : (size_t)len};
        if (len == 4 || len == 8)
            fields->integers[i] = take_integer(data, (size_t)len);
        else
            skip(data, len < 0 ? 0 : (size_t)len);
    }
}

static inline bool has_rows(const struct copy *copy, const struct slice *data)
{
    return copy->binary ? data->len > 2 : data->len > 0;
}

static inline void add_write(struct transaction *transaction, struct write write)
{
    assert(transaction->writes_count < WRITES_MAX);
    transaction->writes[transaction->writes_count++] = write;
}

/* False: the table's CHECK refuses the row. */
static inline bool write_row(struct transaction *transaction, const struct copy *copy,
                             const struct fields *fields)
{
    int id = column_index(copy, "\"id\"");
    int partition = column_index(copy, "\"__connect_partition\"");
    int offset = column_index(copy, "\"__connect_offset\"");

    assert(id >= 0 && partition >= 0 && offset >= 0);
    if (tables.has_check && fields->integers[id] < 0)
        return false;
    transaction->has_orphan |= fields->integers[id] >= first_orphan;
    add_write(transaction,
              (struct write){.slot = copy->topic * PARTITIONS + (int)fields->integers[partition],
                             .offset = fields->integers[offset]});
    return true;
}

static inline void write_dead_letter(struct transaction *transaction, const struct copy *copy,
                                     const struct fields *fields)
{
    char topic[16] = {0};
    struct slice text = fields->texts[column_index(copy, "topic")];

    assert(text.len < sizeof(topic));
    memcpy(topic, text.data, text.len);
    add_write(transaction,
              (struct write){.slot = slot_of(
                                 topic, (int32_t)fields->integers[column_index(copy, "partition")]),
                             .offset = fields->integers[column_index(copy, "record_offset")],
                             .dead = true});
}

/* Rows until the end, or the first one that is refused: then its line, from 1. */
static inline size_t read_rows(struct transaction *transaction, const struct copy *copy,
                               struct slice data, size_t *rows)
{
    struct fields fields = {0};

    for (*rows = 0; has_rows(copy, &data);) {
        if (copy->binary)
            read_binary_row(copy, &data, &fields);
        else
            read_text_row(copy, &data, &fields);
        ++*rows;
        if (copy->dead_letters)
            write_dead_letter(transaction, copy, &fields);
        else if (!write_row(transaction, copy, &fields))
            return *rows;
    }
    return 0;
}

/* --- Steps -------------------------------------------------------------------------------------
 */

static inline void roll_back(struct transaction *transaction, const char *sqlstate,
                             const char *message, const char *context)
{
    struct conn *conn = transaction->conn;

    transaction->used = false;
    conn_fail(conn, sqlstate, message, context);
}

static inline bool is_blocked(const struct transaction *transaction)
{
    for (int i = 0; i < transaction->moves_count; i++)
        if (holder_of(transaction->moves[i].slot))
            return true;
    return false;
}

static inline bool moves_apply(const struct transaction *transaction)
{
    for (int i = 0; i < transaction->moves_count; i++) {
        const struct move *move = &transaction->moves[i];
        const struct stored *stored = &database.slots[move->slot];
        if (!stored->exists || stored->epoch != move->epoch || stored->next_offset != move->from)
            return false;
    }
    return true;
}

static inline void table_version(char *out, size_t size)
{
    snprintf(out, size, "%032u", tables.version);
}

/* pgsluice.expect_table(): the table is as it was when its rows were encoded. */
static inline bool is_expected(const struct transaction *transaction)
{
    const char *at = strstr(transaction->rest, "pgsluice.expect_table(");
    char version[40];

    table_version(version, sizeof(version));
    return !at || strstr(at, version);
}

static inline int statements_before_copy(const struct transaction *transaction)
{
    const char *sql = conn_sql(transaction->conn);

    return (strstr(sql, "pgsluice.advance(") != NULL) +
           (strstr(sql, "pgsluice.expect_table(") != NULL);
}

/* advance(), where there are positions, and what follows at once. */
static inline void step_received(struct transaction *transaction)
{
    static const char *const nothing[] = {NULL};

    if (is_blocked(transaction)) {
        if (chance(1000) < faults.lock_timeout)
            roll_back(transaction, "55P03", "canceling statement due to lock timeout", NULL);
    } else if (!moves_apply(transaction)) {
        roll_back(transaction, SQLSTATE_FENCED, "not where this flush begins", NULL);
    } else if (!is_expected(transaction)) {
        roll_back(transaction, "PS002", "the table has changed", NULL);
    } else {
        transaction->phase = PHASE_COPYING;
        for (int i = statements_before_copy(transaction); i > 0; i--)
            conn_give_rows(transaction->conn, nothing, 1, 1);
    }
}

/* What PostgreSQL says without a line, and what triggers say. */
static inline void refuse_orphan(struct transaction *transaction)
{
    static const char *const codes[] = {"23503", "23505", "P0001", "U0001", "22012"};

    roll_back(transaction, codes[chance(COUNT_OF(codes))], "there is no such customer", NULL);
}

static inline void step_copied(struct transaction *transaction, size_t rows)
{
    transaction->untold = strcmp(transaction->rest, ";") == 0;
    transaction->copied = rows;
    if (transaction->has_orphan && tables.has_key && !tables.key_deferred)
        refuse_orphan(transaction);
    else if (!transaction->untold)
        conn_give_copied(transaction->conn, rows);
}

static inline void step_copying(struct transaction *transaction)
{
    const char *at = strstr(transaction->rest, "COPY ");
    struct buffer data = {0};
    size_t rows;
    char context[64];

    if (!at) {
        transaction->phase = PHASE_SENT;
        return;
    }
    struct copy copy = read_copy(at);
    transaction->rest = strchr(at, ';');
    if (column_index(&copy, "\"more\"") >= 0 && !tables.has_more) {
        roll_back(transaction, "42703", "column \"more\" does not exist", NULL);
        return;
    }
    conn_take_copy(transaction->conn, &data);
    struct slice rest = {data.data, data.len};
    if (copy.binary)
        skip(&rest, 19);
    size_t line = read_rows(transaction, &copy, rest, &rows);
    buffer_finish(&data);
    if (copy.dead_letters && tables.no_letters) {
        roll_back(transaction, "P0001", "no letters", "COPY dead_letters, line 1");
        return;
    }
    if (line == 0) {
        step_copied(transaction, rows);
        return;
    }
    snprintf(context, sizeof(context), "COPY %s, line %zu, column id: \"?\"",
             topic_names[copy.topic], line);
    roll_back(transaction, "23514", "violates check constraint", context);
}

static inline void step_sent(struct transaction *transaction)
{
    if (transaction->has_orphan && tables.has_key && tables.key_deferred) {
        refuse_orphan(transaction);
        return;
    }
    commit(transaction);
    transaction->phase = PHASE_COMMITTED;
}

static inline void step_flush(struct conn *conn)
{
    struct transaction *transaction = transaction_of(conn);

    if (!transaction) {
        for (int i = 0; !transaction; i++) {
            assert(i < TRANSACTIONS_MAX);
            transaction = transactions[i].used ? NULL : &transactions[i];
        }
        transaction->used = true;
        transaction->conn = conn;
        transaction->phase = PHASE_RECEIVED;
        transaction->writes_count = 0;
        transaction->has_orphan = false;
        transaction->untold = false;
        transaction->moves_count = 0;
        transaction->rest = conn_sql(conn);
        if (strstr(transaction->rest, "pgsluice.advance("))
            read_moves(transaction, transaction->rest);
        return;
    }
    if (transaction->phase < PHASE_COMMITTED && chance(1000) < faults.contention) {
        roll_back(transaction, chance(2) ? "40P01" : "57014", "try again", NULL);
        return;
    }
    switch (transaction->phase) {
    case PHASE_RECEIVED:
        step_received(transaction);
        return;
    case PHASE_COPYING:
        step_copying(transaction);
        return;
    case PHASE_SENT:
        step_sent(transaction);
        return;
    case PHASE_COMMITTED:
        transaction->used = false;
        if (transaction->untold)
            conn_give_copied(conn, transaction->copied);
        conn_succeed(conn);
        return;
    }
}

/* Raises the epoch, or makes the row. False: there is none. */
static inline bool claim_row(const char *sql, int slot)
{
    struct stored *stored = &database.slots[slot];
    bool inserts = strstr(sql, "INSERT INTO") != NULL;

    if (stored->exists) {
        stored->epoch++;
    } else if (inserts) {
        const char *values = after(after(sql, "VALUES ("), ", E'");
        const char *initial = after(after(values, ", "), ", ");
        *stored = (struct stored){.exists = true, .next_offset = number_at(initial), .epoch = 1};
    }
    return stored->exists;
}

static inline int claimed_slot(const char *sql)
{
    bool inserts = strstr(sql, "INSERT INTO") != NULL;
    const char *topic =
        inserts ? strstr(after(sql, "VALUES ("), ", E'") + 2 : after(sql, "AND o.topic = ");
    const char *partition = inserts ? after(topic, ", ") : after(topic, "o.partition = ");

    return slot_of(topic_of(topic), (int32_t)number_at(partition));
}

static inline void step_claim(struct conn *conn)
{
    const char *sql = conn_sql(conn);
    int slot = claimed_slot(sql);
    char position[24];
    char epoch[24];

    if (holder_of(slot)) {
        if (chance(1000) < faults.lock_timeout)
            conn_fail(conn, "55P03", "canceling statement due to lock timeout", NULL);
        return;
    }
    bool exists = claim_row(sql, slot);
    if (chance(1000) < faults.lost) {
        lose(conn); /* the epoch is raised, the answer lost */
        return;
    }
    snprintf(position, sizeof(position), "%" PRId64, database.slots[slot].next_offset);
    snprintf(epoch, sizeof(epoch), "%" PRId64, database.slots[slot].epoch);
    conn_give_rows(conn, (const char *const[]){position, epoch, "", "-1"}, exists, 4);
    conn_succeed(conn);
}

/* Whether the process that asks has said that it still drives this one. */
static inline bool is_spared(const char *sql, const struct conn *conn)
{
    char pid[16];

    snprintf(pid, sizeof(pid), "%d", conn_backend_pid(conn));
    return strstr(after(sql, "<> ALL ('{"), pid) != NULL;
}

/* Ends the backend that holds a position and waits for its client. */
static inline void step_free(struct conn *conn)
{
    const char *sql = conn_sql(conn);
    int slot = slot_of(topic_of(after(sql, "AND o.topic = ")),
                       (int32_t)number_at(after(sql, "o.partition = ")));
    struct transaction *holder = holder_of(slot);

    if (holder &&
        (holder->phase != PHASE_COPYING || (holder->conn && is_spared(sql, holder->conn))))
        holder = NULL;
    if (holder) {
        struct conn *ended = holder->conn;
        holder->used = false;
        if (ended)
            conn_lose(ended);
    }
    conn_give_rows(conn, (const char *const[]){"4711", "pgsluice/sink/other"}, holder != NULL, 2);
    conn_succeed(conn);
}

static inline void step_catalog(struct conn *conn)
{
    static struct catalog_column columns[] = {
        {.name = "id", .oid = OID_INT8, .not_null = true},
        {.name = "note", .has_default = true},
        {.name = "__connect_partition", .oid = OID_INT4},
        {.name = "__connect_offset", .oid = OID_INT8},
        {.name = "more", .oid = OID_TEXT},
    };
    bool clicks = strstr(conn_sql(conn), "clicks") != NULL;
    char version[40];

    columns[1].oid = tables.text ? OID_POINT : OID_TEXT;
    columns[4].not_null = tables.needs_more;
    table_version(version, sizeof(version));
    if (strstr(conn_sql(conn), "pgsluice.table_version("))
        conn_give_rows(conn, (const char *const[]){version}, 1, 1);
    conn_give(conn, catalog_result(topic_names[clicks], columns, tables.has_more ? 5 : 4));
    conn_succeed(conn);
}

/* ALTER TABLE; it waits while a transaction uses the table, so here it is for another time. */
static inline void simulated_alter(bool has_more, bool needs_more, bool has_check)
{
    for (int i = 0; i < TRANSACTIONS_MAX; i++)
        if (transactions[i].used && transactions[i].phase != PHASE_RECEIVED)
            return;
    tables.has_more = has_more;
    tables.needs_more = needs_more;
    tables.has_check = has_check;
    tables.version++;
}

/* One step of what a connection runs. */
static inline void simulated_step(struct conn *conn)
{
    const char *sql = conn_sql(conn);

    if (!sql)
        return;
    if (chance(1000) < faults.lost)
        lose(conn);
    else if (strstr(sql, "SET LOCAL lock_timeout"))
        step_claim(conn);
    else if (strstr(sql, "pg_terminate_backend"))
        step_free(conn);
    else if (strstr(sql, "relkind"))
        step_catalog(conn);
    else
        step_flush(conn);
}

/* Every connection goes away. */
static inline void simulated_disconnect(void)
{
    for (int i = 0; i < scripted_count; i++)
        if (scripted[i].conn->state != CONN_CLOSED)
            lose(scripted[i].conn);
}

/* A failover or a restore: a former state is the present one. */
static inline void simulated_rewind(void)
{
    if (snapshots_count == 0)
        return;
    for (int i = 0; i < TRANSACTIONS_MAX; i++)
        transactions[i].used = false;
    database = snapshots[chance(snapshots_count)];
    simulated_disconnect();
}

static inline void simulated_start(void)
{
    memset(&database, 0, sizeof(database));
    for (int i = 0; i < TRANSACTIONS_MAX; i++)
        transactions[i].used = false;
    snapshots[0] = database;
    snapshots_count = 1;
}

#endif
