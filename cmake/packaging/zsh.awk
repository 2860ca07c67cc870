# What describe.sh says -> the completion for zsh.

function quoted(text) {
    gsub(/'/, "'\\''", text)
    gsub(/[\[\]:]/, "\\\\&", text)
    return text
}

BEGIN { FS = "\t" }

$1 == "command" && $2 ~ /^[a-z]/ {
    split($2, words, " ")
    if (words[2] !~ /^[a-z]/) words[2] = ""
    if (!(words[1] in seen)) {
        seen[words[1]] = 1
        groups[++groups_count] = words[1]
        if (!words[2]) first = first "\n        '" words[1] ":" quoted($3) "'"
    }
    if (words[2]) {
        second[words[1]] = second[words[1]] "\n                '" words[2] ":" quoted($3) "'"
        names[++count] = words[1] " " words[2]
    } else if (words[1] != "help")
        names[++count] = words[1]
}
$1 == "option" && $3 ~ /^--/ {
    options[$2] = options[$2] " \\\n                '" $3 "[" quoted($5) "]" ($4 ? ":" $4 ":" : "") "'"
}

END {
    for (i = 1; i <= groups_count; i++)
        if (groups[i] in second && index(first, "'" groups[i] ":") == 0)
            first = first "\n        '" groups[i] ":its commands'"
    print "#compdef pgsluice"
    print "# Completion for zsh; made from the program's own help.\n"
    print "local -a first second"
    print "first=(" first "\n)"
    print "if ((CURRENT == 2)); then"
    print "    _describe command first"
    print "    return"
    print "fi"
    print "case \"$words[2] $words[3]\" in"
    for (i = 1; i <= count; i++)
        if (names[i] ~ / /)
            print "    '" names[i] "')\n        _arguments" options[names[i]] " \\\n                '--help[more about it]'\n        ;;"
    print "    'help '*)\n        _describe command first\n        ;;"
    for (i = 1; i <= groups_count; i++) {
        name = groups[i]
        if (name == "help") continue
        print "    '" name " '*)"
        if (name in second) print "        second=(" second[name] "\n        )\n        ((CURRENT != 3)) || _describe command second"
        print "        _arguments" options[name] " \\\n                '--help[more about it]'\n        ;;"
    }
    print "esac"
}
