# What describe.sh says -> pgsluice.1, for man.

function roff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    sub(/^[.']/, "\\\\\\&&", text)
    return text
}

# Lines that begin with blanks stand as they are.
function line(text) {
    if (text ~ /^  / && !literal) { print (begun ? ".PP\n" : "") ".nf"; literal = 1 }
    else if (text !~ /^  / && literal) { print ".fi"; literal = 0 }
    if (text == "")
        blank = 1
    else {
        if (blank && !literal) print ".PP"
        blank = 0
        begun = 1
        print roff(text)
    }
}

function finish_text() { if (literal) print ".fi"; literal = 0; blank = 0 }

BEGIN { FS = "\t" }

$1 == "version" {
    print ".\\\" Made from the program's own help by cmake/packaging/man.awk."
    print ".TH PGSLUICE 1 \"\" \"pgsluice " $2 "\" \"User Commands\""
    print ".SH NAME\npgsluice \\- moves records from Kafka topics into PostgreSQL tables, exactly once"
    print ".SH SYNOPSIS\n.B pgsluice\n.I COMMAND\n.RI [ OPTION ...]"
    print ".SH DESCRIPTION"
    print "Records of Apache Kafka become rows of PostgreSQL, by COPY. The position of each partition is moved in the"
    print "transaction that writes its rows, so a record is there once, whatever fails. Settings are environment"
    print "variables; run it as often as you like, the instances share the partitions."
    print ".SH COMMANDS"
}

$1 == "command" { finish_text(); print ".SS pgsluice " roff($2); print roff($3) ; blank = 1 }
$1 == "text" { line($3) }
$1 == "option" {
    finish_text()
    print ".TP\n" ($4 ? ".BI \"" roff($3) " \" " $4 : ".B " roff($3))
    print roff($5)
}

$1 == "group" || $1 == "setting" {
    finish_text()
    if (!settings++)
        print ".SH ENVIRONMENT\nA secret can come from a file: NAME_FILE=/path instead of NAME. An empty variable is not set."
}
$1 == "group" { print ".SS " $2 }
$1 == "setting" {
    print ".TP\n.B " roff($2) "\n" roff($5)
    if ($4) print "Values: " roff($4) "."
    if ($3 == "required") print "Required."
    else if ($3) print "Default: " roff($3) "."
}

$1 == "note" && $2 ~ /^Exit codes: / { finish_text(); print ".SH EXIT STATUS"; sub(/^Exit codes: /, "", $2); blank = 0 }
$1 == "note" && $2 == "Examples:" { print ".SH EXAMPLES"; begun = 0; next }
$1 == "note" { line($2) }

END {
    finish_text()
    print ".SH SEE ALSO\n.BR psql (1),\n.BR systemd.service (5)\n.PP"
    print "The pages in /usr/share/doc/pgsluice, of which guarantees.md tells how it is kept."
}
