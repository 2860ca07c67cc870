/*
 * Time and libuv's loop without either: a test moves the clock, runs the turns, and says when a
 * worker hands its job back. So a test of hours takes no time, and a seed is a whole run.
 *
 * Included once, by the test program: what it defines stands in for the library's objects (clock.c)
 * and for libuv's and the C library's functions of the same names.
 */
#ifndef VIRTUAL_LOOP_H
#define VIRTUAL_LOOP_H

#include "base/clock.h"
#include "base/compiler.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uv.h>

/* --- Chance: xorshift64*, one stream for the test and for what asks the kernel ---------------- */

static uint64_t chance_state = 88172645463325252u;

static inline uint32_t chance_next(void)
{
    chance_state ^= chance_state >> 12;
    chance_state ^= chance_state << 25;
    chance_state ^= chance_state >> 27;
    return (uint32_t)(chance_state * 2685821657736338717u >> 32);
}

static inline void chance_seed(uint64_t seed)
{
    chance_state = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 8; i++)
        chance_next();
}

/* 0 to below - 1 */
static inline int chance(int below)
{
    return (int)((uint64_t)chance_next() * (uint64_t)below >> 32);
}

ssize_t getrandom(void *bytes, size_t count, unsigned flags)
{
    uint32_t word = chance_next();

    (void)flags;
    assert(count == sizeof(word));
    memcpy(bytes, &word, sizeof(word));
    return (ssize_t)count;
}

/* --- The clock -------------------------------------------------------------------------------- */

static int64_t virtual_now_ms = 1000;

int64_t clock_now_ms(void)
{
    return virtual_now_ms;
}

int64_t clock_now_us(void)
{
    return virtual_now_ms * 1000;
}

int64_t clock_wall_ms(void)
{
    return virtual_now_ms;
}

/* --- Handles and jobs ------------------------------------------------------------------------- */

enum { HANDLES_MAX = 64, JOBS_MAX = 4096 };

struct virtual_handle {
    uv_handle_t *handle; /* NULL: free */
    uv_loop_t *loop;
    bool active;
    uv_prepare_cb on_prepare;
    uv_timer_cb on_timer;
    int64_t due_ms;
    int64_t repeat_ms;
};

struct virtual_job {
    uv_work_t *work;
    uv_work_cb run;
    uv_after_work_cb done;
};

static struct virtual_handle handles[HANDLES_MAX];
static struct virtual_job jobs[JOBS_MAX];
static int jobs_count;

static inline struct virtual_handle *virtual_find(const uv_handle_t *handle)
{
    for (int i = 0; i < HANDLES_MAX; i++)
        if (handles[i].handle == handle)
            return &handles[i];
    return NULL;
}

static inline struct virtual_handle *virtual_add(uv_loop_t *loop, uv_handle_t *handle)
{
    struct virtual_handle *free_one = virtual_find(NULL);

    assert(free_one && !virtual_find(handle));
    *free_one = (struct virtual_handle){.handle = handle, .loop = loop};
    return free_one;
}

static inline struct virtual_handle *virtual_get(const uv_handle_t *handle)
{
    struct virtual_handle *found = virtual_find(handle);

    assert(found);
    return found;
}

int uv_prepare_init(uv_loop_t *loop, uv_prepare_t *prepare)
{
    virtual_add(loop, (uv_handle_t *)prepare);
    return 0;
}

int uv_prepare_start(uv_prepare_t *prepare, uv_prepare_cb on_prepare)
{
    struct virtual_handle *handle = virtual_get((uv_handle_t *)prepare);

    handle->active = true;
    handle->on_prepare = on_prepare;
    return 0;
}

int uv_prepare_stop(uv_prepare_t *prepare)
{
    virtual_get((uv_handle_t *)prepare)->active = false;
    return 0;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    virtual_add(loop, (uv_handle_t *)timer);
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb on_timer, uint64_t wait_ms, uint64_t repeat_ms)
{
    struct virtual_handle *handle = virtual_get((uv_handle_t *)timer);

    handle->active = true;
    handle->on_timer = on_timer;
    handle->due_ms = virtual_now_ms + (int64_t)wait_ms;
    handle->repeat_ms = (int64_t)repeat_ms;
    return 0;
}

int uv_timer_stop(uv_timer_t *timer)
{
    virtual_get((uv_handle_t *)timer)->active = false;
    return 0;
}

int uv_is_active(const uv_handle_t *handle)
{
    return virtual_get(handle)->active;
}

void uv_close(uv_handle_t *handle, uv_close_cb on_closed)
{
    assert(!on_closed); /* nobody under test waits for it */
    virtual_get(handle)->handle = NULL;
}

int uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb done)
{
    assert(loop && jobs_count < JOBS_MAX);
    jobs[jobs_count++] = (struct virtual_job){work, run, done};
    return 0;
}

/* --- What the test says ----------------------------------------------------------------------- */

/* A worker does its job and hands it back. */
static inline void loop_finish_job(int index)
{
    struct virtual_job job = jobs[index];

    memmove(&jobs[index], &jobs[index + 1], (size_t)(--jobs_count - index) * sizeof(*jobs));
    job.run(job.work);
    job.done(job.work, 0);
}

static inline void loop_finish_jobs(void)
{
    while (jobs_count > 0)
        loop_finish_job(0);
}

static inline void loop_run_timer(struct virtual_handle *handle)
{
    uv_timer_t *timer = (uv_timer_t *)handle->handle;

    if (handle->repeat_ms > 0)
        handle->due_ms = virtual_now_ms + handle->repeat_ms;
    else
        handle->active = false;
    handle->on_timer(timer);
}

/* One turn of libuv's: the timers that are due, then what comes before it would sleep. */
static inline void loop_turn(uv_loop_t *loop)
{
    for (int i = 0; i < HANDLES_MAX; i++)
        if (handles[i].handle && handles[i].loop == loop && handles[i].active &&
            handles[i].on_timer && handles[i].due_ms <= virtual_now_ms)
            loop_run_timer(&handles[i]);
    for (int i = 0; i < HANDLES_MAX; i++)
        if (handles[i].handle && handles[i].loop == loop && handles[i].active &&
            handles[i].on_prepare)
            handles[i].on_prepare((uv_prepare_t *)handles[i].handle);
}

#endif
