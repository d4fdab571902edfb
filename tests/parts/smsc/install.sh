#!/bin/sh
# Fetches the two SMSC libraries (Maven Central) and compiles our mains for them, into a cache outside the clone.
# Needs a JDK and Maven: takes Debian's when they are missing. Does nothing when the cache is complete.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/opportune/smsc
stamp=$(cat "$here/pom.xml" "$here"/*.java | sha256sum | cut -c1-16)
target=$cache/$stamp
[ -f "$target/complete" ] && exit 0

if ! command -v javac >/dev/null || ! command -v mvn >/dev/null; then
    as_root=""
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update -q
    $as_root apt-get install -q -y --no-install-recommends openjdk-17-jdk-headless maven
fi
mkdir -p "$target"
mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$target/lib"
# Every jar must be the one that was looked at, and no other may stand beside them.
(cd "$target/lib" && sha256sum --check --strict --quiet "$here/jars.sha256")
[ "$(find "$target/lib" -name '*.jar' | wc -l)" = "$(wc -l <"$here/jars.sha256")" ] || {
    echo "install: $target/lib holds other jars than $here/jars.sha256 lists" >&2; exit 1
}
javac -d "$target/classes" -cp "$target/lib/*" "$here"/*.java
touch "$target/complete"
