#!/bin/sh
# apidiff.sh compares the exported API of the packages in api/current.txt with the last release, and fails if a package changed
# incompatibly and the changelog does not name it, under Changed or Removed, in what is newer than that release. A test holds
# api/current.txt to the code; this script only needs a tag. The comparison is a tool's, at an exact version, outside of our go.mod.
set -eu
cd "$(dirname "$0")/.."
tool=golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4
module=$(go list -m)

# A checkout of CI mostly has neither tags nor a history.
if [ "$(git rev-parse --is-shallow-repository 2>/dev/null)" = true ]; then
	git fetch --quiet --depth 1 origin 'refs/tags/v*:refs/tags/v*' || echo "the tags of the releases cannot be fetched"
fi
# A tag of the very commit is the release that is being made.
released=$(git tag --list 'v*' --no-contains HEAD --sort=-version:refname 2>/dev/null | head -n 1)
if [ -z "$released" ]; then
	echo "  no release to compare with: what api/current.txt says is all"
	exit 0
fi

old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$released" | tar -x -C "$old"
GOBIN="$old" go install "$tool"
# What stands under Changed and Removed, in the sections above that of the release.
named=$(awk -v last="## [${released#v}]" 'index($0, last) == 1 { exit } /^##/ { on = /^### (Changed|Removed)/ } on' CHANGELOG.md)

missing=0
for package in $(sed -n '/^[^#[:space:]]/p' "$old/api/current.txt" 2>/dev/null || sed -n '/^[^#[:space:]]/p' api/current.txt); do
	if [ ! -d "$package" ]; then
		changes="- the package is gone"
	else
		(cd "$old" && ./apidiff -w export "$module/$package")
		changes=$("$old/apidiff" -incompatible "$old/export" "$module/$package")
	fi
	[ -n "$changes" ] || continue
	printf '  %s, since %s:\n%s\n' "$package" "$released" "$changes"
	case "$named" in
	*"\`$package\`"*) ;;
	*)
		echo "  CHANGELOG.md does not name \`$package\` under Changed or Removed"
		missing=1
		;;
	esac
done
exit $missing
