/* Exit codes, after sysexits.h: what a supervisor can tell apart without reading the log. */
#ifndef COMMAND_EXIT_H
#define COMMAND_EXIT_H

enum exit_code {
    EXIT_DONE = 0,         /* done, or drained after SIGTERM */
    EXIT_USAGE = 64,       /* the command line is wrong */
    EXIT_DATA = 65,        /* some records were refused */
    EXIT_UNREACHABLE = 69, /* Kafka or PostgreSQL did not answer at the start */
    EXIT_INTERNAL = 70,    /* our own mistake, or a library that is too old */
    EXIT_TEMPORARY = 75,   /* a restart may help */
    EXIT_CONFIG = 78,      /* a setting, a table or a right is wrong: a restart will not help */
};

#endif
