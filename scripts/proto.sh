#!/bin/sh
# proto.sh generate | check
# generate makes the Go code of the plugin protocol anew; check lints the .proto files, holds them against the last release
# (released ones never change), and says whether the Go code is stale. buf comes from npm, at an exact version.
set -eu
cd "$(dirname "$0")/.."
buf="npx --yes @bufbuild/buf@1.75.0"
folder=plugins/pluginv1

case ${1:-} in
generate)
	(cd $folder && $buf generate)
	;;
check)
	(cd $folder && $buf lint)
	released=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)
	if [ -n "$released" ] && git cat-file -e "$released:$folder/plugin.proto" 2>/dev/null; then
		(cd $folder && $buf breaking --against "../../.git#tag=$released,subdir=$folder")
	fi
	fresh=$(mktemp -d)
	trap 'rm -rf "$fresh"' EXIT
	cp $folder/*.proto $folder/buf*.yaml "$fresh"
	(cd "$fresh" && $buf generate)
	for file in $folder/*.pb.go; do
		cmp "$file" "$fresh/$(basename "$file")" || { echo "$file is stale: run make generate"; exit 1; }
	done
	;;
*)
	echo "usage: proto.sh generate|check" >&2
	exit 2
	;;
esac
