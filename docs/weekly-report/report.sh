#!/bin/sh
# Prints a report of the last 7 days as one web page: a table for each .sql file beside this script, with its first line as the title.
#   report.sh /var/lib/patchcored/history.db > report.html
set -eu
echo "<!DOCTYPE html><meta charset='utf-8'><title>patchcored</title>"
echo "<style>body { font: 14px sans-serif } table { border-collapse: collapse } td, th { border: 1px solid #999; padding: 2px 8px }</style>"
echo "<h1>$(uname -n), the 7 days before $(date '+%Y-%m-%d %H:%M')</h1>"
for query in "$(dirname "$0")"/*.sql; do
    echo "<h2>$(sed -n '1s/^-- //p' "$query")</h2><table>"
    sqlite3 -readonly -html -header "$1" < "$query"
    echo "</table>"
done
