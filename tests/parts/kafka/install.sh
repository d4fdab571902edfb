#!/bin/sh
# Fetches Apache Kafka from Maven Central (93 jars, 54 MB) into a cache outside the clone.
# Needs a JDK and Maven: takes Debian's when they are missing. Does nothing when the cache is complete.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/opportune/kafka
stamp=$(sha256sum "$here/pom.xml" | cut -c1-16)
target=$cache/$stamp
[ -f "$target/complete" ] && exit 0

if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    as_root=""
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update -q
    $as_root apt-get install -q -y --no-install-recommends openjdk-17-jdk-headless maven
fi
mkdir -p "$target"
mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies \
    -DoutputDirectory="$target/libs" -DincludeScope=runtime
# Every jar must be the one that was looked at, and no other may stand beside them.
(cd "$target/libs" && sha256sum --check --strict --quiet "$here/jars.sha256")
[ "$(find "$target/libs" -name '*.jar' | wc -l)" = "$(wc -l <"$here/jars.sha256")" ] || {
    echo "install: $target/libs holds other jars than $here/jars.sha256 lists" >&2; exit 1
}
touch "$target/complete"
