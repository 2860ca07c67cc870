/* From /proc/self: see proc(5). What can't be read is 0. */
#include "ops/process_figures.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { STARTTIME = 22, RSS = 24, NAME = 2 }; /* fields of /proc/self/stat, from 1 */

/* The field's number; the second one, a name in brackets, may have spaces. */
static long long stat_field(const char *stat, int wanted)
{
    const char *at = strrchr(stat, ')');

    for (int field = NAME; at && field < wanted; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at, NULL, 10) : 0;
}

static void read_stat(struct process_figures *figures)
{
    char stat[1024] = "";
    struct timespec now = {0};
    struct timespec up = {0};
    FILE *file = fopen("/proc/self/stat", "re");

    if (!file)
        return;
    stat[fread(stat, 1, sizeof(stat) - 1, file)] = '\0';
    fclose(file);
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    double age_s = (double)up.tv_sec + (double)up.tv_nsec / 1e9 -
                   (double)stat_field(stat, STARTTIME) / (double)sysconf(_SC_CLK_TCK);
    figures->started_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - age_s;
    figures->resident_bytes = stat_field(stat, RSS) * sysconf(_SC_PAGESIZE);
}

static int64_t count_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int64_t count = -3; /* itself, . and .. */

    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

struct process_figures process_figures_read(void)
{
    struct process_figures figures = {.open_files = count_files(), .open_files_limit = INT64_MAX};
    struct rlimit limit;
    struct timespec cpu;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        figures.cpu_s = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        figures.open_files_limit = (int64_t)limit.rlim_cur;
    read_stat(&figures);
    return figures;
}
