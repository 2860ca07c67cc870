/* Annotations that the compiler checks. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

/* The result says whether it worked: dropping it is an error. */
#define MUST_CHECK __attribute__((warn_unused_result))

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
