/* Results for people and pipes go to standard output; the log never does. Thread: main. */
#ifndef COMMAND_OUTPUT_H
#define COMMAND_OUTPUT_H

#include "base/buffer.h"
#include "command/exit.h"

/* Writes all of it. EXIT_DONE, or EXIT_INTERNAL when it does not get there (a full disk). */
int output_write(const struct buffer *text);

#endif
