/*
 * What the kernel knows of this process, as Prometheus' own libraries name it. Thread: any.
 */
#ifndef OPS_PROCESS_FIGURES_H
#define OPS_PROCESS_FIGURES_H

#include <stdint.h>

struct process_figures {
    double started_s; /* Unix time */
    double cpu_s;     /* user and system */
    int64_t resident_bytes;
    int64_t open_files;
    int64_t open_files_limit; /* INT64_MAX: none */
};

struct process_figures process_figures_read(void);

#endif
