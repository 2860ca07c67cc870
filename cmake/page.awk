# sink/ops/page.html -> page_data.c, one C string a line.

BEGIN {
    print "/* Made from sink/ops/page.html by cmake/page.awk. */"
    print "#include \"ops/page.h\"\n"
    print "const char page_html[] ="
}

{
    gsub(/["\\]/, "\\\\&")
    printf "    \"%s\\n\"\n", $0
}

END { print "    ;" }
