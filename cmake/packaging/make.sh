#!/bin/sh
# make.sh PROGRAM FOLDER: into the current folder, with the scripts of that one, the manual page, the completions
# of bash (pgsluice) and zsh (_pgsluice), and the changelogs as Debian wants them.
set -eu
program=$1 folder=$2

sh "$folder/describe.sh" "$program" >described
awk -f "$folder/man.awk" described >pgsluice.1
awk -f "$folder/bash.awk" described >pgsluice
awk -f "$folder/zsh.awk" described >_pgsluice
gzip -9nkf pgsluice.1

changelog=$folder/../../CHANGELOG.md
gzip -9nc "$changelog" >changelog.gz
{
    echo "pgsluice ($(awk '$1 == "version" { print $2 }' described)-1) stable; urgency=medium"
    printf '\n  * See changelog.gz.\n\n'
    echo " -- The pgsluice maintainers <maintainers@pgsluice.invalid>  $(LC_ALL=C date -R -u -r "$changelog")"
} | gzip -9n >changelog.Debian.gz
