# migrations/NNNN_name.sql ... -> migrations_data.c, one C string a file.

function finish_string() { if (inside) print "    }," ; inside = 0 }

BEGIN {
    print "/* Made from migrations/ by cmake/migrations.awk. */"
    print "#include \"pg/migrate.h\"\n"
    print "const struct migration migrations[] = {"
}

FNR == 1 {
    finish_string()
    file = FILENAME
    sub(/.*\//, "", file)
    sub(/\.sql$/, "", file)
    printf "    { %d, \"%s\",\n", substr(file, 1, 4), substr(file, 6)
    inside = 1
    count++
}

{
    gsub(/["\\]/, "\\\\&")
    printf "      \"%s\\n\"\n", $0
}

END {
    finish_string()
    printf "};\nconst size_t migrations_count = %d;\n", count
}
