# What describe.sh says -> the completion for bash.

BEGIN { FS = "\t" }

$1 == "command" && $2 ~ /^[a-z]/ {
    split($2, words, " ")
    if (words[2] !~ /^[a-z]/) words[2] = ""
    if (!(words[1] in seen)) { seen[words[1]] = 1; first = first " " words[1]; groups[++groups_count] = words[1] }
    if (words[2]) second[words[1]] = second[words[1]] " " words[2]
    name = words[1] (words[2] ? " " words[2] : "")
    names[++count] = name
}
$1 == "option" && $3 ~ /^--/ {
    options[$2] = options[$2] " " $3
    if ($4 && !($3 in valued)) { valued[$3] = 1; valued_list = valued_list (valued_list ? " | " : "") $3 }
}

END {
    print "# Completion of pgsluice for bash; made from the program's own help."
    print "_pgsluice() {"
    print "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} found=''"
    print "    case $before in"
    print "        " valued_list ") COMPREPLY=() && return ;;"
    print "    esac"
    print "    if ((COMP_CWORD == 1)); then"
    print "        found='" substr(first, 2) " --help --version'"
    print "    else"
    print "        case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in"
    for (i = 1; i <= count; i++)
        if (names[i] ~ / / )
            printf "            '%s') found='%s --help' ;;\n", names[i], substr(options[names[i]], 2)
    print "            'help '*) found='" substr(first, 2) "' ;;"
    for (i = 1; i <= groups_count; i++)
        if (groups[i] != "help")
            printf "            '%s '*) found='%s' ;;\n", groups[i], substr(second[groups[i]] options[groups[i]] " --help", 2)
    print "        esac"
    print "    fi"
    print "    mapfile -t COMPREPLY < <(compgen -W \"$found\" -- \"$word\")"
    print "}"
    print "complete -F _pgsluice pgsluice"
}
