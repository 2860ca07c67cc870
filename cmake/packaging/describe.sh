#!/bin/sh
# What a program has to say about itself, in lines of fields with tabs between them:
#
#     describe.sh pgsluice
#
#     version  VERSION
#     command  NAME  SUMMARY
#     text     NAME  LINE                   of its help
#     option   NAME  OPTION  VALUE  MEANING
#     group    TITLE
#     setting  NAME  DEFAULT  VALUES  MEANING
#     note     LINE                         what --help ends with: examples, exit codes
#
# The manual page and the completions are made of it, so they say what the program says.
set -eu
program=$1

"$program" --version | awk 'NR == 1 { print "version\t" $2 }'

"$program" help | awk '
    function emit(kind, line, at) { at = match(line, /  +/); print kind "\t" substr(line, 1, at - 1) "\t" substr(line, at + RLENGTH) }
    /^Commands:$/ { inside = 1; next }
    /^$/ { inside = 0 }
    inside && /^  [a-z]/ { emit("command", substr($0, 3)) }' | while read -r line; do
    printf '%s\n' "$line"
    name=$(printf '%s\n' "$line" | cut -f 2)
    case $name in help* | -*) continue ;; esac
    # shellcheck disable=SC2086 # two words
    "$program" help $name | awk -v name="$name" '
        NR <= 2 || /^Settings are environment/ { next }
        match($0, /^  (--[a-z-]+|[A-Z]+)( [A-Z]+)? +/) && $0 !~ /^  [A-Z]+ [a-z]/ {
            meaning = substr($0, RLENGTH + 1)
            split(substr($0, 3, RLENGTH - 2), words, " ")
            print "option\t" name "\t" words[1] "\t" words[2] "\t" meaning
            delete words
            next
        }
        /^Options:$/ { next }
        { print "text\t" name "\t" $0 }'
done

"$program" config --markdown | awk -F ' *\\| *' -v OFS='\t' '
    /^\*\*/ { gsub(/\*/, ""); print "group", $0 }
    /^\| `/ { gsub(/`/, ""); print "setting", $2, $3, $4, $5 }'

"$program" help | awk '/^Examples:$/ { inside = 1 } inside { print "note\t" $0 }'
