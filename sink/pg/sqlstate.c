/*
 * One table, first match wins, so a code stands before its class. What the table does not know is
 * an outage: waiting loses nothing, a dead letter or a skipped flush might.
 */
#include "pg/sqlstate.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *prefix;
    enum err_class class;
} classes[] = {
    {SQLSTATE_FENCED, ERR_FENCED},
    {SQLSTATE_TABLE_CHANGED, ERR_CONFIG},
    {"55P03", ERR_CONTENTION}, /* lock_not_available */
    {SQLSTATE_CANCELED, ERR_CONTENTION},
    {"40", ERR_CONTENTION},           /* transaction rollback: serialization, deadlock */
    {"26000", ERR_CONTENTION},        /* prepared statement is gone: a pooler swapped the session */
    {SQLSTATE_READ_ONLY, ERR_OUTAGE}, /* a standby, a failover */
    {"2200H", ERR_CONFIG},            /* a sequence has come to its end */
    {"21000", ERR_DATA},              /* cardinality violation */
    {"22", ERR_DATA},                 /* data exception */
    {"23", ERR_DATA},                 /* integrity constraint */
    {"54", ERR_DATA},                 /* program limit: nesting, row or index entry too large */
    {"P0001", ERR_DATA},              /* a trigger raised */
    {"28", ERR_CONFIG},               /* authorization */
    {"3D", ERR_CONFIG},               /* no such database */
    {"3F", ERR_CONFIG},               /* no such schema */
    {"42", ERR_CONFIG},               /* no such table, column, right; syntax */
    {"0A", ERR_CONFIG},               /* not supported: for instance COPY into a view */
    {"08", ERR_OUTAGE},               /* connection */
    {"53", ERR_OUTAGE},               /* resources: disk full, too many connections */
    {"57P", ERR_OUTAGE},              /* shutdown, crash, starting up */
    {"58", ERR_OUTAGE},               /* system: I/O */
};

/* A class that begins with 5 to 9 or I to Z is nobody's, but for those that PostgreSQL took. */
bool sqlstate_is_of_user_code(const char *sqlstate)
{
    static const char *const raised[] = {"09", "20", "27", "2F", "38", "39", "44", "P0"};
    static const char *const taken[] = {"72", "PS", "XX"};

    for (size_t i = 0; i < COUNT_OF(raised); i++)
        if (strncmp(sqlstate, raised[i], 2) == 0)
            return true;
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        if (strncmp(sqlstate, taken[i], 2) == 0)
            return false;
    return (sqlstate[0] >= '6' && sqlstate[0] <= '9') || (sqlstate[0] >= 'I' && sqlstate[0] <= 'Z');
}

enum err_class sqlstate_class(const char *sqlstate)
{
    if (!sqlstate || !*sqlstate)
        return ERR_OUTAGE;
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0)
            return classes[i].class;
    return ERR_OUTAGE;
}
