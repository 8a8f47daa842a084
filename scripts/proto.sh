#!/bin/sh
# proto.sh generate | check
# generate makes the Go code of the plugin protocols anew; check lints the .proto files, holds them against the last release
# (released ones never change), and says whether the Go code is stale. buf comes from npm, at an exact version.
set -eu
cd "$(dirname "$0")/.."
buf="npx --yes @bufbuild/buf@1.75.0"
folders="plugins/pluginv1 plugins/webhookv1"

case ${1:-} in
generate)
	for folder in $folders; do
		(cd $folder && $buf generate)
	done
	;;
check)
	released=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)
	fresh=$(mktemp -d)
	trap 'rm -rf "$fresh"' EXIT
	for folder in $folders; do
		(cd $folder && $buf lint)
		if [ -n "$released" ] && git cat-file -e "$released:$folder/buf.yaml" 2>/dev/null; then
			(cd $folder && $buf breaking --against "../../.git#tag=$released,subdir=$folder")
		fi
		mkdir -p "$fresh/$folder"
		cp $folder/*.proto $folder/buf*.yaml "$fresh/$folder"
		(cd "$fresh/$folder" && $buf generate)
		for file in $folder/*.pb.go; do
			cmp "$file" "$fresh/$file" || { echo "$file is stale: run make generate"; exit 1; }
		done
	done
	;;
*)
	echo "usage: proto.sh generate|check" >&2
	exit 2
	;;
esac
