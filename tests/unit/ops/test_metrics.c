/* The text format, and the sums of histograms. */
#include "ops/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct buffer text;
static struct metrics out = {.out = &text};

static int reset(void **state)
{
    (void)state;
    buffer_finish(&text);
    return 0;
}

static void a_family_and_its_samples(void **state)
{
    (void)state;
    metrics_family(&out, METRICS_GAUGE, "lag", "Records behind.");
    metrics_integer(&out, METRICS_LABELS({"topic", "orders"}, {"partition", "3"}), 12);
    metrics_integer(&out, METRICS_LABELS({"topic", "orders"}, {"partition", "4"}), -1);
    assert_string_equal(buffer_text(&text), "# HELP lag Records behind.\n"
                                            "# TYPE lag gauge\n"
                                            "lag{topic=\"orders\",partition=\"3\"} 12\n"
                                            "lag{topic=\"orders\",partition=\"4\"} -1\n");
}

static void a_sample_without_labels(void **state)
{
    (void)state;
    metrics_counter(&out, "rows_total", "Rows.", UINT64_C(9007199254740993));
    assert_string_equal(buffer_text(&text), "# HELP rows_total Rows.\n"
                                            "# TYPE rows_total counter\n"
                                            "rows_total 9007199254740993\n");
}

static void odd_label_values_are_escaped(void **state)
{
    (void)state;
    metrics_family(&out, METRICS_GAUGE, "g", "h");
    buffer_reset(&text);
    metrics_integer(&out, METRICS_LABELS({"table", "a\"b\\c\nd\xc3\xa9"}), 1);
    assert_string_equal(buffer_text(&text), "g{table=\"a\\\"b\\\\c\\nd\xc3\xa9\"} 1\n");
}

static void a_unix_time_keeps_its_milliseconds(void **state)
{
    (void)state;
    metrics_gauge(&out, "t", "h", 1795174800.123);
    assert_non_null(strstr(buffer_text(&text), "\nt 1795174800.123\n"));
    metrics_gauge(&out, "n", "h", 268435456);
    assert_non_null(strstr(buffer_text(&text), "\nn 268435456\n"));
}

static void buckets_are_summed_up(void **state)
{
    static const struct histogram_bounds bounds = {2, {0.5, 1}};
    struct histogram histogram = {0};

    (void)state;
    histogram_add(&histogram, &bounds, 0.5, 1); /* a bound belongs to its bucket */
    histogram_add(&histogram, &bounds, 0.75, 2);
    histogram_add(&histogram, &bounds, 7, 1);
    metrics_family(&out, METRICS_HISTOGRAM, "d", "h");
    buffer_reset(&text);
    metrics_histogram(&out, METRICS_LABELS({"stage", "copy"}), &histogram, &bounds);
    assert_string_equal(buffer_text(&text), "d_bucket{stage=\"copy\",le=\"0.5\"} 1\n"
                                            "d_bucket{stage=\"copy\",le=\"1\"} 3\n"
                                            "d_bucket{stage=\"copy\",le=\"+Inf\"} 4\n"
                                            "d_sum{stage=\"copy\"} 9\n"
                                            "d_count{stage=\"copy\"} 4\n");
    assert_int_equal(histogram_count(&histogram), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_family_and_its_samples, reset),
        cmocka_unit_test_setup(a_sample_without_labels, reset),
        cmocka_unit_test_setup(odd_label_values_are_escaped, reset),
        cmocka_unit_test_setup(a_unix_time_keeps_its_milliseconds, reset),
        cmocka_unit_test_setup_teardown(buckets_are_summed_up, reset, reset),
    };

    return cmocka_run_group_tests(tests, NULL, reset);
}
