/*
 * Time. Timers and ages use the monotonic clock; only what people read uses the wall clock.
 * Thread: any.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Monotonic; the zero is arbitrary. */
int64_t clock_now_ms(void);
int64_t clock_now_us(void);

/* Unix time. */
int64_t clock_wall_ms(void);

#endif
