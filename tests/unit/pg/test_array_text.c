/* JSON arrays as array literals, before COPY's own escapes. */
#include "pg/array_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_array(const char *json, enum array_elements elements, const char *expected)
{
    struct buffer out = {0};
    struct err err;

    assert_true(array_text_append(&out, slice_of(json), elements, &err));
    assert_string_equal(buffer_text(&out), expected);
    buffer_finish(&out);
}

static void assert_scalars(const char *json, const char *expected)
{
    assert_array(json, ARRAY_OF_SCALARS, expected);
}

static void assert_jsons(const char *json, const char *expected)
{
    assert_array(json, ARRAY_OF_JSON, expected);
}

static void writes_scalars(void **state)
{
    (void)state;
    assert_scalars("[]", "{}");
    assert_scalars(" [ 1 , -2.50e1 ,\n3 ] ", "{1,-2.50e1,3}");
    assert_scalars("[true,false,null]", "{true,false,NULL}");
    assert_scalars("[\"\",\"a b\",\"NULL\"]", "{\"\",\"a b\",\"NULL\"}");
}

static void quotes_strings_anew(void **state)
{
    (void)state;
    assert_scalars("[\"say \\\"a\\\\b\\\"\"]", "{\"say \\\"a\\\\b\\\"\"}");
    assert_scalars("[\"\\u00e9\\n\"]", "{\"\xC3\xA9\n\"}");
    assert_scalars("[\"],[{\"]", "{\"],[{\"}");
}

static void nests(void **state)
{
    (void)state;
    assert_scalars("[[1,2],[3,null]]", "{{1,2},{3,NULL}}");
}

static void refuses_objects_among_scalars(void **state)
{
    struct buffer out = {0};
    struct err err;

    (void)state;
    assert_false(array_text_append(&out, slice_of("[1,{\"a\":2}]"), ARRAY_OF_SCALARS, &err));
    assert_int_equal(err.class, ERR_DATA);
    buffer_finish(&out);
}

static void keeps_json_elements_whole(void **state)
{
    (void)state;
    assert_jsons("[]", "{}");
    assert_jsons("[1, \"a\", null]", "{\"1\",\"\\\"a\\\"\",NULL}");
    assert_jsons("[{\"a\": [1, \"]\"]}, [2]]", "{\"{\\\"a\\\": [1, \\\"]\\\"]}\",\"[2]\"}");
}

/* No such text comes from a decoder; it must be read to its end and no further. */
static void survives_arrays_that_are_cut(void **state)
{
    static const char *const texts[] = {"[",  "[\"",   "[\"\\", "[\"a\\\"", "[1,",
                                        "[[", "[{\"a", "[{",    ""};
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct buffer out = {0};
        bool scalars = array_text_append(&out, slice_of(texts[i]), ARRAY_OF_SCALARS, &err);
        bool jsons = array_text_append(&out, slice_of(texts[i]), ARRAY_OF_JSON, &err);
        assert_true(scalars || jsons || err.class == ERR_DATA);
        buffer_finish(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_scalars),
        cmocka_unit_test(quotes_strings_anew),
        cmocka_unit_test(nests),
        cmocka_unit_test(refuses_objects_among_scalars),
        cmocka_unit_test(keeps_json_elements_whole),
        cmocka_unit_test(survives_arrays_that_are_cut),
    };

    return cmocka_run_group_tests_name("array_text", tests, NULL, NULL);
}
