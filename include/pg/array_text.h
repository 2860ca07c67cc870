/* JSON arrays as PostgreSQL's array literals. Documentation: "Arrays", input syntax. Thread: any,
 * pure. */
#ifndef PG_ARRAY_TEXT_H
#define PG_ARRAY_TEXT_H

#include "base/buffer.h"
#include "base/err.h"

enum array_elements {
    ARRAY_OF_SCALARS, /* an array inside is a further dimension */
    ARRAY_OF_JSON,    /* json[] and jsonb[]: what is inside is an element as it stands */
};

/*
 * Appends [1, "a", null] as {1,"a",NULL}. `array` is a valid JSON array. False (ERR_DATA): an
 * object among scalars.
 */
bool array_text_append(struct buffer *out, struct slice array, enum array_elements elements,
                       struct err *err) MUST_CHECK;

#endif
